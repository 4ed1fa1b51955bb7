"""Anatomy of the simulated tissue: the region at every position, and positions of cells by regional density.

The equations are in the docstring of `gest.data.sources.simulate`.
"""

import hashlib

import numpy as np

N_LAYERS, N_NUCLEI = 4, 4
REGIONS = np.array(
    [f"cortex_{i + 1}" for i in range(N_LAYERS)]
    + [f"nucleus_{i + 1}" for i in range(N_NUCLEI)]
    + ["fibre_tract", "interstitium"]
)
DIVISIONS = np.array(["cortex", "nuclei", "fibre_tract", "interstitium"])
FIBRE_TRACT, INTERSTITIUM = N_LAYERS + N_NUCLEI, N_LAYERS + N_NUCLEI + 1
DIVISION_OF_REGION = np.array([0] * N_LAYERS + [1] * N_NUCLEI + [2, 3])


def regions(uv: np.ndarray, *, seed: int, donor: str, slice: float) -> np.ndarray:
    """Find the region at each position: (n,) indices into `REGIONS`.

    Positions `uv` (n, 2) are fractions of the extent.
    """
    rng, animal = random_stream(seed, "anatomy"), random_stream(seed, "donor", donor)
    u, v = uv.T
    phase = rng.random(3) + animal.normal(0, 0.01, 3)
    surface = sum(
        amplitude * np.sin(2 * np.pi * k * (u + 0.15 * slice + phase[k])) for k, amplitude in ((1, 0.05), (2, 0.02))
    )
    thickness = 0.42 + 0.05 * np.sin(2 * np.pi * (0.5 * slice + phase[0]))
    depth = 1 - v - surface
    shares = np.cumsum(np.full(N_LAYERS, 1 / N_LAYERS) + rng.uniform(-0.05, 0.05, N_LAYERS))
    layer = np.searchsorted(shares[:-1], depth / thickness, side="right")

    j = np.arange(N_NUCLEI)
    centre_phase, radius_phase, shape_phase = 2 * np.pi * rng.random((3, N_NUCLEI))
    offset = animal.normal(0, 0.01, (2, N_NUCLEI))
    centre_u = (j + 0.5) / N_NUCLEI + 0.03 * np.sin(np.pi * slice + centre_phase) + offset[0]
    centre_v = 0.2 + 0.05 * np.cos(np.pi * slice + centre_phase) + offset[1]
    radius = 0.105 + 0.02 * np.sin(np.pi * slice + radius_phase)
    du, dv = (u[:, None] - centre_u) / radius, (v[:, None] - centre_v) / radius
    angle = np.arctan2(dv, du)
    outline = 1 + 0.15 * np.cos(2 * angle + shape_phase) + 0.1 * np.cos(3 * angle + shape_phase)
    reach = np.hypot(du, dv) / outline
    nucleus = np.where(reach.min(axis=1) < 1, N_LAYERS + reach.argmin(axis=1), INTERSTITIUM)
    return np.select([depth < thickness, depth < thickness + 0.08], [layer, FIBRE_TRACT], nucleus)


def draw_positions(n_cells: int, aspect: float, anatomy: dict, rng: np.random.Generator) -> np.ndarray:
    """Draw positions of cells (n_cells, 2) in fractions of the extent.

    Some regions are denser than others.
    """
    rows = int(np.ceil(np.sqrt(3 * n_cells / aspect)))
    columns = int(np.ceil(3 * n_cells / rows))
    lattice = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    uv = (lattice + rng.random(lattice.shape)) / (columns, rows)
    log_density = random_stream(anatomy["seed"], "density").normal(0, 0.3, len(REGIONS))
    key = log_density[regions(uv, **anatomy)] + rng.gumbel(size=len(uv))
    return uv[np.argsort(-key, kind="stable")[:n_cells]]


def random_stream(seed: int, *purpose: str) -> np.random.Generator:
    """Make the random generator of a purpose; it is the same on every machine."""
    digest = hashlib.sha256("\0".join(purpose).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
