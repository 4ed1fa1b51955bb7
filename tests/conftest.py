"""Fixtures that many tests share: simulated sections, their vocabulary, a tiny model."""

import os
import sys
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # set before torch is imported, so that waiting threads do not spin

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from helpers import PAIRS, TINY

from gest import GeST, Vocabulary, cli
from gest.data.sources.simulate import simulate
from gest.data.tokenize import tokenize
from gest.paper.reported import read_paper_values
from gest.paper.scores.generation import METRICS
from gest.paper.scores.table import COLUMNS
from gest.training.vocabulary import fit_sections


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Limit torch to one thread and fix its seed.

    Numba changes torch's number of threads, and more threads than free cores slow training many times.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)  # independent of the tests that ran before


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real sections, for tests marked real."""
    if not os.environ.get("GEST_REAL_DATA"):
        pytest.skip("GEST_REAL_DATA does not name the folder of real sections")
    return Path(os.environ["GEST_REAL_DATA"])


@pytest.fixture(scope="session")
def sections() -> list[AnnData]:
    return [
        simulate(f"s{i}", donor="a", n_cells=500, width_um=700, height_um=600, n_genes=40, seed=1) for i in range(2)
    ]


@pytest.fixture(scope="session")
def vocabulary(sections) -> Vocabulary:
    return fit_sections(sections, {"n_metacells": 20, "n_components": 10, "hierarchy": [6, 4, 2]})


@pytest.fixture
def tokens(sections, vocabulary):
    return [tokenize(section, vocabulary) for section in sections]


@pytest.fixture
def model(vocabulary) -> GeST:
    torch.manual_seed(0)
    return GeST(TINY, vocabulary).eval()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def verb(monkeypatch):
    """Return a function that runs a command of `gest` in this process and checks its exit status."""

    def run(*arguments, expect: int = 0) -> None:
        monkeypatch.setattr(sys, "argv", ["gest", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert (stopped.value.code or 0) == expect

    return run


@pytest.fixture(scope="session")
def values():
    """Read the values that the paper reports."""
    return read_paper_values(Path(__file__).parents[1] / "config" / "paper_values.yaml")


@pytest.fixture(scope="session")
def generated():
    """Return a function that makes random scores of all methods, for all genes and top genes, on slides of 5 crops."""

    def scores(run, *, slides=8, top="svg200", dataset="mouse_brain"):
        rows = product(PAIRS, ("all", top), [f"slide {number}" for number in range(slides)], "01234", METRICS)
        keys = ["pair", "gene_set", "section", "crop", "metric"]
        table = pd.DataFrame(list(rows), columns=keys).assign(
            run=run, task="generation", dataset=dataset, level="", model_seed=0, seed=0, n=50, status="ok"
        )
        table[["method", "variant"]] = table["pair"].tolist()
        return table.assign(value=np.random.default_rng(0).uniform(0.9, 1.5, len(table)))[list(COLUMNS)]

    return scores
