"""Scores of a made-up run of generation, all methods in them."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gest.paper import read_paper_values
from gest.scores import COLUMNS, METRICS

PAIRS = [("gest", "picking"), ("gest", "weighted"), ("gp", "default"), ("mlp", "default")]
PAIRS += [("mean_of_seen", "default"), ("nearest_seen", "default"), ("true_metacells", "default")]


@pytest.fixture(scope="session")
def values():
    """What the paper reports."""
    return read_paper_values(Path(__file__).parents[2] / "config" / "paper_values.yaml")


@pytest.fixture(scope="session")
def generated():
    """Scores of all methods: every metric of all genes and of the top ones, on slides of five crops."""

    def scores(run, *, slides=8, top="svg200", dataset="mouse_brain"):
        places = product(PAIRS, ("all", top), [f"slide {number}" for number in range(slides)], "01234", METRICS)
        keys = ["pair", "gene_set", "section", "crop", "metric"]
        table = pd.DataFrame(list(places), columns=keys).assign(
            run=run, task="generation", dataset=dataset, level="", model_seed=0, seed=0, n=50, status="ok"
        )
        table[["method", "variant"]] = table["pair"].tolist()
        return table.assign(value=np.random.default_rng(0).uniform(0.9, 1.5, len(table)))[list(COLUMNS)]

    return scores
