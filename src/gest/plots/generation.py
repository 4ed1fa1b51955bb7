"""The figure of generated cells: a section, the crop hidden in it, and truth beside predictions."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SEEN, UNSEEN = "0.25", "#d62728"
COLOUR_MAP = "viridis"


def draw_generation(
    xy: np.ndarray,
    unseen: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    genes: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw a section with its crop, and per gene the truth beside each prediction.

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
    # The section is drawn as high as all genes together, at its own aspect.
    width, height = np.ptp(xy, axis=0)
    side = 1.25
    body = side * len(genes)
    section_width = float(np.clip(body * width / height, 0.6 * body, 1.4 * body))
    figure = Figure(figsize=(section_width + side * len(shown) + 1.2, body + 0.9), layout="constrained", dpi=150)
    left, right = figure.subfigures(1, 2, width_ratios=[section_width, side * len(shown) + 1.0])
    _draw_section(left.subplots(), xy, unseen)
    axes = right.subplots(len(genes), len(shown), squeeze=False)
    size = _marker_size(len(crop), 72 * side * 0.8)
    for row, gene in enumerate(genes):
        low, high = np.percentile(truth[:, row], [1, 99])
        for ax, (name, values) in zip(axes[row], shown.items(), strict=True):
            points = ax.scatter(
                *crop.T, c=values[:, row], s=size, cmap=COLOUR_MAP, vmin=low, vmax=max(high, low + 1e-6), linewidths=0
            )
            _bare(ax)
            if row == 0:
                ax.set_title(name, fontsize=7)
        axes[row][0].set_ylabel(gene, fontsize=8, style="italic")
        bar = right.colorbar(points, ax=list(axes[row]), fraction=0.02, pad=0.01, aspect=12)
        bar.ax.tick_params(labelsize=6, length=2)
        bar.outline.set_visible(False)
    _scale_bar(axes[-1][0], crop)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def _draw_section(ax: Axes, xy: np.ndarray, unseen: np.ndarray) -> None:
    """Draw where the crop lies: seen cells grey, unseen ones red."""
    size = _marker_size(len(xy), 72 * 3)
    ax.scatter(*xy[~unseen].T, s=size, color=SEEN, linewidths=0, label=f"seen ({(~unseen).sum():,} cells)")
    ax.scatter(*xy[unseen].T, s=size, color=UNSEEN, linewidths=0, label=f"unseen ({unseen.sum():,} cells)")
    _bare(ax)
    _scale_bar(ax, xy)
    legend = ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8)
    for handle in legend.legend_handles:
        handle.set_sizes([20])


def _bare(ax: Axes) -> None:
    """Leave nothing but the points, x and y on one scale."""
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _scale_bar(ax: Axes, xy: np.ndarray) -> None:
    """Draw a bar of a round length in µm, about a quarter of the width, below the points."""
    (left, bottom), width = xy.min(axis=0), np.ptp(xy[:, 0])
    power = 10 ** np.floor(np.log10(width / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= width / 4)
    y = bottom - 0.06 * np.ptp(xy[:, 1])
    ax.plot([left, left + length], [y, y], color="black", linewidth=1.5, solid_capstyle="butt")
    ax.annotate(
        f"{length:g} µm", (left, y), xytext=(0, -2), textcoords="offset points", ha="left", va="top", fontsize=6
    )


def _marker_size(n: int, width: float) -> float:
    """Area in square points at which n points about fill a square of that width in points."""
    return float(np.clip(0.8 * width**2 / max(n, 1), 0.3, 40))
