"""Generated cells: truth beside predictions, gene by gene (Figures A.2 and A.5)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure, SubFigure

from gest.paper.figures.setting import seen_and_unseen
from gest.pl.maps import COLOUR_MAP, UNIT, dots, frame, outline, scale_bar, spacing

_SIDE = 1.5  # of a panel, inches
_AROUND = 0.4  # of the unseen area's extent: so much is shown on each side of it


def draw_generation(
    xy: np.ndarray,
    unseen: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    genes: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw a section with its crop, and per gene the truth beside each prediction (Figure A.2).

    Parameters
    ----------
    xy
        (n, 2) positions of the section's cells, µm.
    unseen
        (n,) boolean, the cells that were hidden.
    truth
        (m, g) log-normalised expression of the m unseen cells, in their order in `xy`.
    predictions
        Method to (m, g) prediction, a column each.
    genes
        The g genes, a row each; a row shares one colour scale, set by the 1st and 99th percentile of its truth.

    Returns
    -------
    Figure
        Not shown and not saved.
    """
    shown = {"truth": truth, **predictions}
    crop = xy[unseen]
    body = _height(crop) * len(genes)
    # The section is drawn as high as all genes together, if its own aspect allows.
    width, height = np.ptp(xy, axis=0)
    section_width = float(np.clip(body * width / height, 2.5, 4.5))
    panels_width = _width(shown)
    figure = Figure(figsize=(section_width + panels_width, body + 0.9), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[section_width, panels_width])
    seen_and_unseen(left.subplots(), xy, unseen, names=("seen", "unseen"))
    _draw_genes(right, crop, shown, genes, limits=truth)
    figure.suptitle(title, fontsize=10)
    return figure


def draw_markers(
    xy: np.ndarray,
    unseen: np.ndarray,
    expression: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    genes: Sequence[str],
    *,
    missing: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw genes in and around the unseen area: truth, and predictions set into what was seen (Figure A.5).

    Parameters
    ----------
    xy
        (n, 2) µm.
    unseen
        (n,) booleans; m are true.
    expression
        (n, g) log-normalised expression of all cells.
    predictions
        Method to (m, g) prediction, a column each; seen cells are drawn with their own expression.
    genes
        The g genes, a row each; a row shares one colour scale, set by the 1st and 99th percentile of what is shown.
    missing
        Markers that the data lacks, to be named.

    Returns
    -------
    Figure
        Not shown and not saved.
    """
    low, high = xy[unseen].min(axis=0), xy[unseen].max(axis=0)
    margin = _AROUND * (high - low).max()
    near = ((xy >= low - margin) & (xy <= high + margin)).all(axis=1)
    shown = {"truth": expression[near]}
    for name, values in predictions.items():
        filled = expression.copy()
        filled[unseen] = values
        shown[name] = filled[near]
    notes = ["Outlined: the unseen area; around it, the expression that was seen."]
    notes += [f"Not in the data: {', '.join(missing)}."] if missing else []
    figure = Figure(figsize=(_width(shown), _height(xy[near]) * len(genes) + 1.1), layout="constrained")
    panels = _draw_genes(figure, xy[near], shown, genes, limits=expression[near])
    for ax in panels.flat:
        outline(ax, xy[near], unseen[near])
    figure.suptitle(title, fontsize=10)
    figure.supxlabel("\n".join(notes), fontsize=8)
    return figure


def _height(xy: np.ndarray) -> float:
    """Return the height of a panel of these cells, inches."""
    width, height = np.ptp(xy, axis=0)
    return _SIDE * height / width


def _width(shown: Mapping[str, np.ndarray]) -> float:
    """Return the width of a row of panels and its colour bar, inches."""
    return _SIDE * len(shown) + 1.1


def _draw_genes(
    figure: Figure | SubFigure,
    xy: np.ndarray,
    shown: Mapping[str, np.ndarray],
    genes: Sequence[str],
    *,
    limits: np.ndarray,
) -> np.ndarray:
    """Draw a row of panels per gene and a column per entry of `shown`, (n, g) at xy; return the axes (g, columns)."""
    axes = figure.subplots(len(genes), len(shown) + 1, squeeze=False, width_ratios=[1] * len(shown) + [0.06])
    pitch = spacing(xy)
    for row, gene in enumerate(genes):
        low, high = np.percentile(limits[:, row], [1, 99])
        for ax, (name, values) in zip(axes[row], shown.items(), strict=False):
            circles = dots(ax, xy, pitch, array=values[:, row], cmap=COLOUR_MAP, clim=(low, max(high, low + 1e-6)))
            frame(ax, xy, pitch)
            if row == 0:
                ax.set_title(name, fontsize=8)
            if not np.isfinite(values[:, row]).all():
                ax.text(0.5, 0.5, "failed", transform=ax.transAxes, ha="center", fontsize=8)
        axes[row, 0].set_ylabel(gene, fontsize=9, style="italic")
        bar = figure.colorbar(circles, cax=axes[row, -1])
        bar.set_label(UNIT, fontsize=7)
        bar.ax.tick_params(labelsize=7, length=2)
        bar.outline.set_visible(False)
    scale_bar(axes[-1, 0])
    return axes[:, :-1]
