"""Small things many tests need: random tissue, its vocabulary, a tiny model."""

import numpy as np
import pytest
import torch
from anndata import AnnData

from gest import GeST, Vocabulary
from gest.sources.simulate import simulate
from gest.tokens import tokenize
from gest.vocabulary import fit_sections

torch.set_num_threads(1)

TINY = {
    "window": 300,
    "model": {"layers": 2, "heads": 2, "width": 16},
    "pretraining": {
        "steps": 12,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "warmup_steps": 2,
        "validate_every": 4,
        "checkpoint_every": 4,
    },
}


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
