"""Perturb genes in a region and generate its surroundings (section 4.4, A.5).

`perturb` sets up the surroundings of a region and calls `compare`, which changes the genes of the region (`change`),
generates the surroundings with and without the change, and tests every gene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gest.errors import UserError
from gest.model import GeST
from gest.roi import ROI
from gest.tasks.perturbation.differential import HIGH, LOW, differential
from gest.tasks.perturbation.surroundings import Surroundings

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, kw_only=True)
class PerturbationResult:
    """The effect of a perturbation of r cells on the m cells around them."""

    genes: np.ndarray
    """(T,) names."""
    roi: np.ndarray
    """(r,) indices of the cells whose genes were changed."""
    surroundings: np.ndarray
    """(m,) indices of the cells that were generated."""
    control: np.ndarray
    """(m, T) log-normalised expression, generated from the unchanged region."""
    perturbed: np.ndarray
    """(m, T) log-normalised expression, generated from the changed region with the same random draws."""
    deg: pd.DataFrame
    """A row per gene: the columns of `gest.tasks.perturbation.differential.differential`; `changed` ("activated",
    "inhibited" or ""); `fell`, for an activated gene the share of the region's cells in which its expression fell, as
    it can far from the centre; `roi_log2_fold_change`, the mean change in the region between the model's inputs, that
    is after Algorithm 2."""
    summary: dict[str, Any]
    """Settings and counts; `metacells_changed`, the share of the region's cells whose meta cell changed (Algorithm 2);
    `activated_fell`, the mean of `fell`, NaN if no gene was activated."""


def perturb(
    adata: AnnData,
    model: GeST,
    *,
    roi: ROI,
    activate: Sequence[str] = (),
    inhibit: Sequence[str] = (),
    sigma: float | None = None,
    context: str = "roi",
    seed: int = 0,
    q: float = 0.05,
    min_lfc: float = 0.1,
) -> PerturbationResult:
    """Change genes in a region; generate its surroundings with and without the change.

    The surroundings are the cells outside the region that lie in the model's window of one of its cells; the model
    never sees their own expression.

    Parameters
    ----------
    adata
        One section: counts in `X`, `obsm["spatial"]` (n, 2) in µm. It is left unchanged.
    roi
        `gest.roi.Circle`, `Polygon`, `Label` or `Mask`.
    activate, inhibit
        Names of the genes to raise and to lower (`change`); without any, the difference is exactly zero.
    sigma
        Width σ of the kernel, µm. The default is half the region's diameter: the radius of a circle; for other regions,
        the distance from the centre to the farthest cell (decision 28).
    context
        The cells from which the surroundings are generated: `roi`, the region alone, or `tissue`, the region and the
        tissue, that is all cells beyond the surroundings. No window of a seen cell holds both region and tissue, so
        the change does not affect the estimates from the tissue. The mean over all estimates (Eq. 11) therefore differs
        less than with `roi`, above all near the tissue.
    seed
        Seed of the random draws, which are the same for control and perturbed.
    q, min_lfc
        Thresholds of a call (`gest.tasks.perturbation.differential.differential`).

    Raises
    ------
    UserError
        The model lacks a gene, or a gene is both activated and inhibited; the region has no cells or no surroundings;
        the context is unknown; a number is out of range.

    Examples
    --------
    >>> import gest
    >>> from gest.testing.example import example
    >>> section, model = example()
    >>> roi = gest.roi.Circle(200, 200, 60)
    >>> result = gest.perturb(section, model, roi=roi, activate=["gene_1"], inhibit=["gene_2"])
    >>> result.perturbed.shape == (len(result.surroundings), 20)
    True
    >>> result.deg.loc[:1, ["gene", "changed"]].values.tolist()
    [['gene_1', 'activated'], ['gene_2', 'inhibited']]
    """
    surroundings = Surroundings(adata, model, roi=roi, context=context, seed=seed)
    return compare(surroundings, activate=activate, inhibit=inhibit, sigma=sigma, q=q, min_lfc=min_lfc)


def change(
    profiles: np.ndarray, xy: np.ndarray, *, activated: np.ndarray, inhibited: np.ndarray, sigma: float, maximum: float
) -> np.ndarray:
    """Activate and inhibit genes by a Gaussian kernel around the cells' centre (A.5).

    At distance d from the centre, the value g of an activated gene becomes a · exp(−d² / 2σ²), which does not depend on
    g; that of an inhibited gene becomes g · (1 − exp(−d² / 2σ²)).

    Parameters
    ----------
    profiles
        (r, T) log-normalised expression g.
    xy
        (r, 2) µm.
    activated, inhibited
        Columns of genes.
    sigma
        σ, µm.
    maximum
        a, the value of an activated gene at the centre.

    Returns
    -------
    (r, T) the changed profiles.
    """
    kernel = np.exp(-((xy - xy.mean(0)) ** 2).sum(1) / (2 * sigma**2))[:, None]
    changed = profiles.copy()
    changed[:, activated] = maximum * kernel
    changed[:, inhibited] *= 1 - kernel
    return changed


def resolve_genes(
    surroundings: Surroundings, activate: Sequence[str], inhibit: Sequence[str], sigma: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the columns of the genes to change, and σ or its default; see `perturb`."""
    activated, inhibited = surroundings.find_genes(activate), surroundings.find_genes(inhibit)
    if len(both := np.intersect1d(activated, inhibited)):
        gene = surroundings.genes[both[0]]
        raise UserError(f"perturb: the gene '{gene}' is to be both activated and inhibited; choose one.")
    sigma = surroundings.half_diameter if sigma is None else sigma
    if not 0 < sigma < np.inf:
        raise UserError(f"perturb: sigma is {sigma:g} µm (expected a finite length above 0); give one.")
    return activated, inhibited, sigma


def compare(
    surroundings: Surroundings,
    *,
    activate: Sequence[str] = (),
    inhibit: Sequence[str] = (),
    sigma: float | None = None,
    q: float = 0.05,
    min_lfc: float = 0.1,
) -> PerturbationResult:
    """Perturb a region and compare its surroundings with the control; see `perturb`.

    The control is generated once, at the first comparison, and then reused.

    The a of A.5, "max g(x), x ∈ {x_1, …, x_n} … the maximum value of all genes", is one number: the largest
    log-normalised value of any gene in any cell of the section.
    """
    activated, inhibited, sigma = resolve_genes(surroundings, activate, inhibit, sigma)
    profiles, maximum = surroundings.profiles, float(surroundings.expression.max())
    xy = surroundings.xy[surroundings.roi]
    changed = change(profiles, xy, activated=activated, inhibited=inhibited, sigma=sigma, maximum=maximum)
    perturbed = surroundings.generate(surroundings.roi, changed)

    table = differential(surroundings.control, perturbed, surroundings.genes, q=q, min_lfc=min_lfc)
    table["changed"] = ""
    table.loc[activated, "changed"] = "activated"
    table.loc[inhibited, "changed"] = "inhibited"
    table["fell"] = np.nan
    table.loc[activated, "fell"] = (changed < profiles)[:, activated].mean(0)
    shift, metacells_changed = _compute_shift(surroundings.model, profiles, changed)
    table["roi_log2_fold_change"] = shift.mean(0, dtype=np.float64) / np.log(2)
    summary = {
        "context": surroundings.context,
        "seed": surroundings.seed,
        "sigma": float(sigma),
        "q": q,
        "min_lfc": min_lfc,
        "maximum": maximum,
        "n_roi": len(surroundings.roi),
        "n_surroundings": len(surroundings.cells),
        "n_activated": len(activated),
        "n_inhibited": len(inhibited),
        "n_high": int((table["call"] == HIGH).sum()),
        "n_low": int((table["call"] == LOW).sum()),
        "metacells_changed": metacells_changed,
        "activated_fell": float(table["fell"].mean()),
    }
    return PerturbationResult(
        genes=surroundings.genes,
        roi=surroundings.roi,
        surroundings=surroundings.cells,
        control=surroundings.control,
        perturbed=perturbed,
        deg=table,
        summary=summary,
    )


def _compute_shift(model: GeST, profiles: np.ndarray, changed: np.ndarray) -> tuple[np.ndarray, float]:
    """Compute the change of the input (r, T), and the share of changed meta cells."""
    vocabulary = model.vocabulary
    before, after = vocabulary.tokenize(profiles), vocabulary.tokenize(changed)
    codebook = vocabulary.expression
    shift = codebook[after] - codebook[before] if model.quantised else changed - profiles
    return shift, float((before != after).mean())
