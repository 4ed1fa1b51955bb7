"""Draw the effect of a perturbed region on its surroundings, one row per gene (Figure 5c and 5d)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from gest.pl.maps import (
    COLOUR_MAP,
    SEEN,
    UNIT,
    colour_limits,
    dots,
    frame,
    handle,
    scale_bar,
    spacing,
    style_colour_bar,
)

DIFFERENCES = "RdBu_r"
_SIDE = 2.1  # width of a panel, inches


def strongest(deg: pd.DataFrame, n: int = 2) -> list[str]:
    """Name the n genes that rose most and the n that fell most.

    Genes that were changed in the region are left out.

    Parameters
    ----------
    deg
        The table of genes of a `gest.tasks.perturbation.perturb.PerturbationResult`.
    """
    others = deg[deg["changed"] == ""].sort_values("log2_fold_change", ascending=False, kind="stable")["gene"]
    return list(dict.fromkeys([*others.head(n), *others.tail(n)]))


def draw_perturbation(
    xy: np.ndarray,
    roi: np.ndarray,
    surroundings: np.ndarray,
    control: np.ndarray,
    perturbed: np.ndarray,
    genes: Sequence[str],
    *,
    notes: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw control, perturbed and their difference, one row per gene.

    The region is drawn in black.

    Parameters
    ----------
    xy
        (n, 2) of the section's cells, µm.
    roi, surroundings
        (r,) and (m,) indices of cells.
    control, perturbed
        (m, g) log-normalised expression; the two panels of a gene share their colour scale.
    genes
        Names of the g genes.
    notes
        A line of text per gene, such as its call.

    Returns
    -------
    Figure
        The figure; it is neither shown nor saved.
    """
    drawn = xy[np.concatenate([roi, surroundings])]
    width, height = np.ptp(drawn, axis=0)
    figure = Figure(figsize=(3 * _SIDE + 2.4, _SIDE * height / width * len(genes) + 1.1), layout="constrained")
    axes = figure.subplots(len(genes), 5, squeeze=False, width_ratios=[1, 1, 0.05, 1, 0.05])
    for row, gene in enumerate(genes):
        _draw_gene(axes[row], xy[surroundings], xy[roi], control[:, row], perturbed[:, row])
        axes[row, 0].set_ylabel(gene, fontsize=9, style="italic")
        if notes:
            axes[row, 3].set_xlabel(notes[row], fontsize=7)
    for column, name in ((0, "control"), (1, "perturbed"), (3, "perturbed − control")):
        axes[0, column].set_title(name, fontsize=8)
    scale_bar(axes[-1, 0])
    figure.legend(
        handles=[handle(SEEN, f"region of interest ({len(roi):,} cells)")],
        loc="outside lower center",
        frameon=False,
        fontsize=8,
    )
    figure.suptitle(title, fontsize=10)
    return figure


def _draw_gene(
    axes: Sequence[Axes], surroundings: np.ndarray, roi: np.ndarray, control: np.ndarray, perturbed: np.ndarray
) -> None:
    """Draw one gene into five axes.

    The axes are for control, perturbed, the colour bar of both, the difference, and its colour bar. `surroundings`
    (m, 2) and `roi` (r, 2) are coordinates in µm.
    """
    difference = perturbed - control
    limit = max(np.percentile(np.abs(difference), 99), 1e-6)
    values_scale = {"cmap": COLOUR_MAP, "clim": colour_limits(np.stack([control, perturbed]))}
    difference_scale = {"cmap": DIFFERENCES, "clim": (-limit, limit)}
    _draw_panel(axes[0], surroundings, roi, control, values_scale)
    values_map = _draw_panel(axes[1], surroundings, roi, perturbed, values_scale)
    _draw_bar(axes[2], values_map, UNIT)
    difference_map = _draw_panel(axes[3], surroundings, roi, difference, difference_scale)
    _draw_bar(axes[4], difference_map, "difference")


def _draw_panel(
    ax: Axes, surroundings: np.ndarray, roi: np.ndarray, values: np.ndarray, scale: Mapping[str, Any]
) -> EllipseCollection:
    """Draw values (m,) at the surroundings (m, 2), and the region (r, 2) in black."""
    xy = np.concatenate([roi, surroundings])
    pitch = spacing(xy)
    circles = dots(ax, surroundings, pitch, array=values, **scale)
    dots(ax, roi, pitch, facecolors=SEEN)
    frame(ax, xy, pitch)
    return circles


def _draw_bar(ax: Axes, circles: EllipseCollection, label: str) -> None:
    """Draw the colour bar of a panel."""
    style_colour_bar(ax.figure.colorbar(circles, cax=ax), label)
