"""Simulate a tissue with layers, nuclei, cell types and five kinds of genes, for tests and the toy run.

Coordinates (u, v) are fractions of the section's extent; s in [0, 1] is the section's position along the axis, and
δ = 1 − v − h(u, s) is the depth below the surface. The constants below belong to the tissue (its seed); an animal adds
small offsets a to the anatomy.

Anatomy. Surface h = Σ_k A_k sin(2πk(u + 0.15 s + φ_k + a)), thickness c = 0.42 + 0.05 sin(2π(0.5 s + φ_0 + a)).
    Layer l: δ/c lies between its cumulative shares. Fibre tract: c ≤ δ < c + 0.08. Below it, nucleus j where
    ρ_j = ‖((u − u_j(s))/r_j(s), (v − v_j(s))/r_j(s))‖ < 1 + 0.15 cos(2θ + ψ_j) + 0.1 cos(3θ + ψ_j), else interstitium.
Positions. One uniform candidate in each square of a fine lattice; n of them are sampled with weights by region (Gumbel
    top-n).
Types. t_i ~ Categorical(π_r) in region r, π_r ~ Dirichlet(0.3).
Expression. log μ_ig = log b_g + e_ig, where e_ig depends on the kind of gene:
    marker     2 · 1[t_i = τ_g]
    regional   α_{division(i), g} + β_{region(i), g},              α, β ~ N(0, 0.6²)
    gradient   0.9 (cos ω_g (2 u_i − 1) + sin ω_g (2 v_i − 1))
    neighbour  3 · (share of type τ_g among the other cells within 50 µm)
    null       0
Counts. x_ig ~ Poisson(ℓ_i μ_ig γ_ig), γ ~ Gamma(2, 1/2), library size ℓ_i ~ LogNormal(0, 0.3²). Given its mean m, a
    count is negative binomial with variance m + m²/2.
Spots. A hexagonal grid of pitch 100 µm; each sums the cells within 27.5 µm and takes their most common labels.
"""

from collections.abc import Mapping

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.spatial import KDTree

from gest.data.sources.simulated_anatomy import (
    DIVISION_OF_REGION,
    DIVISIONS,
    REGIONS,
    draw_positions,
    random_stream,
    regions,
)
from gest.errors import UserError
from gest.sections import validate

PLATFORMS = ("cells", "spots")
N_TYPES = 8
# Kinds of genes 1, 2, ...; they repeat for further genes.
KINDS = ("marker", "regional", "gradient", "marker", "neighbour", "regional", "null")
NEIGHBOUR_RADIUS = 50.0  # µm
SPOT_PITCH, SPOT_RADIUS = 100.0, 27.5  # µm, Visium's


def simulate(
    name: str,
    *,
    donor: str,
    platform: str = "cells",
    n_cells: int = 1800,
    width_um: float = 1200.0,
    height_um: float = 1000.0,
    n_genes: int = 60,
    seed: int = 0,
    slice: float = 0.0,
) -> ad.AnnData:
    """Simulate one section of the tissue defined by `seed`.

    The equations are in the docstring of this module.

    Parameters
    ----------
    name, donor
        Names of section and animal. (seed, name) determines positions, types and counts; (seed, donor) the anatomy.
    platform
        "cells", or "spots" that each sum the cells within them.
    n_cells
        Number of cells, before they are summed into spots. The defaults give 1,500 cells per mm².
    width_um, height_um
        Extent of the section in µm.
    n_genes
        Number of genes. Their kinds cycle through `KINDS`.
    seed
        Determines the tissue: anatomy, mixes of types and gene programmes.
    slice
        Position along the axis in [0, 1]; boundaries move smoothly along it.

    Returns
    -------
    AnnData
        A section. ``obs`` has "division", "region" (each within one division) and "cell_type"; ``var`` has "kind" and
        "cell_type" (the type that a marker or neighbour gene responds to, empty for other genes).

    Raises
    ------
    UserError
        If `platform`, `slice`, a number or an extent is out of range.
    """
    extents = {"n_cells": n_cells, "n_genes": n_genes, "width_um": width_um, "height_um": height_um}
    _check(name, platform, slice, extents)
    rng = random_stream(seed, "section", name)
    anatomy = {"seed": seed, "donor": donor, "slice": slice}
    uv = draw_positions(n_cells, width_um / height_um, anatomy, rng)
    region = regions(uv, **anatomy)
    mixes = random_stream(seed, "types").dirichlet(np.full(N_TYPES, 0.3), size=len(REGIONS))
    # Inverse-transform sampling. The last type takes all that is left, so that rounding leaves no cell without a type.
    cell_type = (rng.random((n_cells, 1)) > mixes.cumsum(axis=1)[region, :-1]).sum(axis=1)
    xy = uv * (width_um, height_um)
    counts, var = _expression(uv, xy, region, cell_type, n_genes, seed, rng)

    if platform == "spots":
        xy, members = _spots(xy, width_um, height_um)
        counts = members @ counts
        region = _most_common(members, region, len(REGIONS))
        cell_type = _most_common(members, cell_type, N_TYPES)
    columns = {
        "section": name,
        "donor": donor,
        "division": pd.Categorical(DIVISIONS[DIVISION_OF_REGION[region]]),
        "region": pd.Categorical(REGIONS[region]),
        "cell_type": pd.Categorical([f"type_{t + 1}" for t in cell_type]),
    }
    obs = pd.DataFrame(columns, index=[f"{name}_{i}" for i in range(len(xy))])
    section = ad.AnnData(sp.csr_matrix(counts), obs=obs, var=var, obsm={"spatial": xy}, uns={"gest": {"x": "counts"}})
    return validate(section, name=name)


def _check(name: str, platform: str, slice: float, extents: Mapping[str, float]) -> None:
    """Raise UserError if a parameter is out of range."""
    if platform not in PLATFORMS:
        raise UserError(f"{name}: platform is '{platform}' (expected {' or '.join(PLATFORMS)}); correct the key")
    if not 0 <= slice <= 1:
        raise UserError(f"{name}: slice is {slice} (expected 0 to 1); correct it")
    for key, value in extents.items():
        if not value > 0:
            raise UserError(f"{name}: {key} is {value} (expected a number above 0); correct it")


def _expression(
    uv: np.ndarray,
    xy: np.ndarray,
    region: np.ndarray,
    cell_type: np.ndarray,
    n_genes: int,
    seed: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw counts (n, T) float32; return them and a table of the genes."""
    tissue = random_stream(seed, "genes")
    kind = np.resize(KINDS, n_genes)
    gene_type = tissue.integers(N_TYPES, size=n_genes)
    base = tissue.normal(0, 0.5, n_genes)
    division_effect = tissue.normal(0, 0.6, (len(DIVISIONS), n_genes))
    region_effect = tissue.normal(0, 0.6, (len(REGIONS), n_genes))
    axis = 2 * np.pi * tissue.random(n_genes)
    is_type = np.eye(N_TYPES)[cell_type]

    log_mean = np.tile(base, (len(uv), 1))
    g = kind == "marker"
    log_mean[:, g] += 2 * is_type[:, gene_type[g]]
    g = kind == "regional"
    log_mean[:, g] += (division_effect[DIVISION_OF_REGION] + region_effect)[:, g][region]
    g = kind == "gradient"
    log_mean[:, g] += 0.9 * (2 * uv - 1) @ np.stack([np.cos(axis[g]), np.sin(axis[g])])
    g = kind == "neighbour"
    log_mean[:, g] += 3 * _neighbour_share(xy, is_type)[:, gene_type[g]]

    mean = np.exp(log_mean + rng.normal(0, 0.3, (len(uv), 1)))
    counts = rng.poisson(mean * rng.gamma(2, 1 / 2, mean.shape)).astype(np.float32)
    responds = np.isin(kind, ("marker", "neighbour"))
    var = pd.DataFrame(
        {"kind": kind, "cell_type": np.where(responds, [f"type_{t + 1}" for t in gene_type], "")},
        index=[f"gene_{i + 1}" for i in range(n_genes)],
    )
    return counts, var


def _neighbour_share(xy: np.ndarray, is_type: np.ndarray) -> np.ndarray:
    """Return each type's share among a cell's neighbours (n, N_TYPES).

    The cell itself is excluded; a cell without neighbours has shares of 0.
    """
    a, b = KDTree(xy).query_pairs(NEIGHBOUR_RADIUS, output_type="ndarray").T
    near = sp.csr_matrix((np.ones(a.size), (a, b)), shape=(len(xy), len(xy)))
    neighbours = (near + near.T) @ is_type
    return neighbours / np.maximum(neighbours.sum(axis=1, keepdims=True), 1)


def _spots(xy: np.ndarray, width_um: float, height_um: float) -> tuple[np.ndarray, sp.csr_matrix]:
    """Lay a grid of spots over cells; drop spots without cells.

    Return the centres (m, 2) in µm, and the membership (m, n) of cells in spots.
    """
    rise = SPOT_PITCH * np.sqrt(3) / 2
    centres = np.array(
        [
            (x, y)
            for row, y in enumerate(np.arange(SPOT_RADIUS, height_um, rise))
            for x in np.arange(SPOT_RADIUS + row % 2 * SPOT_PITCH / 2, width_um, SPOT_PITCH)
        ]
    )
    inside = KDTree(xy).query_ball_point(centres, SPOT_RADIUS, return_sorted=True)
    sizes = np.array([len(cells) for cells in inside])
    members = sp.csr_matrix(
        (np.ones(sizes.sum(), dtype=np.float32), np.concatenate(inside).astype(int), np.append(0, sizes.cumsum())),
        shape=(len(centres), len(xy)),
    )
    return centres[sizes > 0], members[sizes > 0]


def _most_common(members: sp.csr_matrix, label: np.ndarray, n_labels: int) -> np.ndarray:
    """Find the most common label of each spot's cells, the first one if tied."""
    return (members @ np.eye(n_labels)[label]).argmax(axis=1)
