"""Maps of generated cells: truth and predictions, gene by gene (Figures A.2 and A.5)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure, SubFigure

from gest.paper.figures.setting import seen_and_unseen
from gest.pl.maps import COLOUR_MAP, UNIT, colour_limits, dots, frame, outline, scale_bar, spacing, style_colour_bar

_SIDE = 1.5  # width of a panel, inches
_MARGIN = 0.4  # shown on each side of the unseen area, as a share of its extent


def draw_generation(
    xy: np.ndarray,
    unseen: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    genes: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw a section with its crop, and truth and predictions there (Figure A.2).

    There is a row of panels per gene.

    Parameters
    ----------
    xy
        (n, 2) positions of the section's cells, µm.
    unseen
        (n,) booleans, true for the hidden cells.
    truth
        (m, g) log-normalised expression of the m unseen cells, in their order in `xy`.
    predictions
        (m, g) prediction of each method, drawn in one column.
    genes
        Names of the g genes, drawn in one row each with the colour scale of the truth.

    Returns
    -------
    Figure
        Neither shown nor saved.
    """
    shown = {"truth": truth, **predictions}
    crop = xy[unseen]
    body = _height(crop) * len(genes)
    # The section is as high as all genes together, unless that makes it too narrow or too wide.
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
    """Draw genes in and around the unseen area (Figure A.5).

    A panel shows the truth, or a prediction together with the seen cells.

    Parameters
    ----------
    xy
        (n, 2) µm.
    unseen
        (n,) booleans; m are true.
    expression
        (n, g) log-normalised expression of all cells.
    predictions
        (m, g) prediction of each method, drawn in one column; seen cells have their true expression.
    genes
        Names of the g genes, drawn in one row each with the colour scale of the truth.
    missing
        Markers that the data lack; a note names them.

    Returns
    -------
    Figure
        Neither shown nor saved.
    """
    low, high = xy[unseen].min(axis=0), xy[unseen].max(axis=0)
    margin = _MARGIN * (high - low).max()
    near = ((xy >= low - margin) & (xy <= high + margin)).all(axis=1)
    shown = {"truth": expression[near]}
    for name, values in predictions.items():
        filled = expression.copy()
        filled[unseen] = values
        shown[name] = filled[near]
    notes = ["Outlined: the unseen area; around it the seen expression."]
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
    """Draw a row of panels per gene; return the axes (g, columns).

    There is a column per entry of `shown`, (n, g) values at xy. A row has the colour scale of its column in `limits`.
    """
    axes = figure.subplots(len(genes), len(shown) + 1, squeeze=False, width_ratios=[1] * len(shown) + [0.06])
    pitch = spacing(xy)
    for row, gene in enumerate(genes):
        row_limits = colour_limits(limits[:, row])
        for ax, (name, values) in zip(axes[row], shown.items(), strict=False):
            circles = dots(ax, xy, pitch, array=values[:, row], cmap=COLOUR_MAP, clim=row_limits)
            frame(ax, xy, pitch)
            if row == 0:
                ax.set_title(name, fontsize=8)
            if not np.isfinite(values[:, row]).all():
                ax.text(0.5, 0.5, "failed", transform=ax.transAxes, ha="center", fontsize=8)
        axes[row, 0].set_ylabel(gene, fontsize=9, style="italic")
        style_colour_bar(figure.colorbar(circles, cax=axes[row, -1]), UNIT)
    scale_bar(axes[-1, 0])
    return axes[:, :-1]
