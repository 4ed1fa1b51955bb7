"""What a perturbed region does around it: control beside perturbed, gene by gene (Figure 5c, d)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gest.pl.maps import COLOUR_MAP, SEEN, UNIT, dots, frame, handle, scale_bar, spacing

DIFFERENCES = "RdBu_r"
_SIDE = 2.1  # of a panel, inches


def strongest(deg: pd.DataFrame, n: int = 2) -> list[str]:
    """Name the n genes that rose most and the n that fell most, of those not changed in the region themselves.

    Parameters
    ----------
    deg
        As `gest.tasks.perturbation.perturb.PerturbationResult` holds it.
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
    """Draw a row of panels per gene: control, perturbed, and their difference; the region is black.

    Parameters
    ----------
    xy
        (n, 2) of the section's cells, µm.
    roi, surroundings
        (r,) and (m,) indices.
    control, perturbed
        (m, g) log-normalised expression; the two panels of a gene share their colour scale.
    genes
        The g genes.
    notes
        A line for each gene, such as its call.

    Returns
    -------
    Figure
        Not shown and not saved.
    """
    shown = np.concatenate([roi, surroundings])
    width, height = np.ptp(xy[shown], axis=0)
    pitch = spacing(xy[shown])
    figure = Figure(figsize=(3 * _SIDE + 2.4, _SIDE * height / width * len(genes) + 1.1), layout="constrained")
    axes = figure.subplots(len(genes), 5, squeeze=False, width_ratios=[1, 1, 0.05, 1, 0.05])
    for row, gene in enumerate(genes):
        difference = perturbed[:, row] - control[:, row]
        low, high = np.percentile([control[:, row], perturbed[:, row]], [1, 99])
        most = max(np.percentile(np.abs(difference), 99), 1e-6)
        scale = {"cmap": COLOUR_MAP, "clim": (low, max(high, low + 1e-6))}
        panels = (
            (axes[row, 0], "control", control[:, row], scale),
            (axes[row, 1], "perturbed", perturbed[:, row], scale),
            (axes[row, 3], "perturbed − control", difference, {"cmap": DIFFERENCES, "clim": (-most, most)}),
        )
        for ax, name, values, colours in panels:
            circles = dots(ax, xy[surroundings], pitch, array=values, **colours)
            dots(ax, xy[roi], pitch, facecolors=SEEN)
            frame(ax, xy[shown], pitch)
            if row == 0:
                ax.set_title(name, fontsize=8)
            if name != "control":  # the bar of the two, and the difference's own
                bar = figure.colorbar(circles, cax=axes[row, 2 if name == "perturbed" else 4])
                bar.set_label(UNIT if name == "perturbed" else "difference", fontsize=7)
                bar.ax.tick_params(labelsize=7, length=2)
                bar.outline.set_visible(False)
        axes[row, 0].set_ylabel(gene, fontsize=9, style="italic")
        if notes:
            axes[row, 3].set_xlabel(notes[row], fontsize=7)
    scale_bar(axes[-1, 0])
    figure.legend(
        handles=[handle(SEEN, f"region of interest ({len(roi):,} cells)")],
        loc="outside lower center",
        frameon=False,
        fontsize=8,
    )
    figure.suptitle(title, fontsize=10)
    return figure
