"""Create inputs of the benchmarks: an untrained default model, and random tissue.

Trained weights and real tissue would take the same time.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gest import GeST, Vocabulary
from gest.windows import Tokens

DENSITY = 1.85e-3  # cells per µm², as in the paper's sections
GENES, METACELLS = 1122, 1000
LEVELS, COMPONENTS = (15, 10, 5), 50


def random_vocabulary(n_metacells: int = METACELLS, n_genes: int = GENES, seed: int = 0) -> Vocabulary:
    """Draw a vocabulary of the paper's size."""
    rng = np.random.default_rng(seed)
    p = min(COMPONENTS, n_genes)
    expression = rng.gamma(0.3, size=(n_metacells, n_genes)).astype(np.float32)
    components = np.linalg.qr(rng.normal(size=(n_genes, p)))[0].T.astype(np.float32)
    mean = expression.mean(0)
    return Vocabulary(
        expression=expression,
        pca=(expression - mean) @ components.T,
        levels=np.stack([rng.permutation(np.arange(n_metacells) % n) for n in LEVELS]),
        genes=np.array([f"gene_{i}" for i in range(n_genes)]),
        normalisation={"target_sum": 250.0},
        mean=mean,
        components=components,
        sizes=np.full(n_metacells, 100),
    )


def default_model(config: Any = None, *, vocabulary: Vocabulary | None = None, seed: int = 0) -> GeST:
    """Create an untrained model on the CPU, by default the default model."""
    torch.manual_seed(seed)
    return GeST(config, vocabulary or random_vocabulary())


def random_windows(model: GeST, size: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Draw an unpadded batch: tokens (B, N), bins (B, N, 2), lengths (B,)."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(len(model.vocabulary), size=(size, length))
    bins = rng.integers(model.config.model.position_bins + 1, size=(size, length, 2))
    return tuple(torch.from_numpy(x).to(model.device) for x in (tokens, bins, np.full(size, length)))


def random_section(n_cells: int, n_metacells: int = METACELLS, *, density: float = DENSITY, seed: int = 0) -> Tokens:
    """Place cells with random meta cells at random in a square."""
    rng = np.random.default_rng(seed)
    return Tokens(rng.random((n_cells, 2)) * (n_cells / density) ** 0.5, rng.integers(n_metacells, size=n_cells))
