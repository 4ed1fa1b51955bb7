"""Errors that add up over the rounds of generation, with and without quantisation (Figure A.1)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from gest.metrics import rmse_log
from gest.pl.maps import VERMILION, dots, frame, scale_bar, spacing

_SIDE = 3.0  # of a panel, inches
_COLOURS, _ORDER, _SEEN = "viridis", "cividis", "0.75"


def errors_by_round(
    truth: np.ndarray, predictions: Mapping[tuple[str, str], np.ndarray], rounds: np.ndarray
) -> pd.DataFrame:
    """Score what each round generated.

    Parameters
    ----------
    truth
        (m, T) log-normalised expression of the unseen cells.
    predictions
        Method and variant to (m, T).
    rounds
        (m,) the round that generated each cell, from 1.

    Returns
    -------
    Rows of `method`, `variant`, `round`, `cells`, `rmse_log` over all genes, and `negative`: the share of predicted
    values below zero, which no expression can be.
    """
    rows = []
    for (method, variant), predicted in predictions.items():
        for number in np.unique(rounds):
            made = rounds == number
            error, negative = rmse_log(truth[made], predicted[made]).value, (predicted[made] < 0).mean()
            rows.append((method, variant, number, made.sum(), error, negative))
    return pd.DataFrame(rows, columns=["method", "variant", "round", "cells", "rmse_log", "negative"])


def draw_accumulation(
    xy: np.ndarray,
    line: float,
    panels: Mapping[str, np.ndarray],
    rounds: np.ndarray,
    *,
    gene: str,
    title: str = "",
) -> Figure:
    """Draw one gene in a section whose upper part was generated: a panel per version, and the order of generation.

    Parameters
    ----------
    xy
        (n, 2) µm.
    line
        y of the line above which cells were unseen, µm.
    panels
        Heading to (n,) log-normalised expression of the gene, the truth first; all share one colour scale, set by the
        1st and 99th percentile of the truth.
    rounds
        (n,) the round that generated each cell, from 1; 0 for cells that were seen.
    gene
        Its name.

    Returns
    -------
    Figure
        Not shown and not saved.
    """
    width, height = np.ptp(xy, axis=0)
    n = len(panels) + 1
    figure = Figure(figsize=(_SIDE * n + 1.2, _SIDE * height / width + 1.1), layout="constrained")
    axes = figure.subplots(1, n)
    pitch = spacing(xy)
    low, high = np.percentile(next(iter(panels.values())), [1, 99])
    for ax, (heading, values) in zip(axes, panels.items(), strict=False):
        circles = dots(ax, xy, pitch, array=values, cmap=_COLOURS, clim=(low, max(high, low + 1e-6)))
        _finish(ax, xy, pitch, line, heading)
    _bar(figure, circles, list(axes[:-1]), "log-normalised expression")
    axes[0].set_ylabel(gene, fontsize=10, style="italic")

    order, seen = axes[-1], rounds == 0
    steps = BoundaryNorm(np.arange(rounds.max() + 1) + 0.5, ncolors=256)
    dots(order, xy[seen], pitch, facecolors=_SEEN)
    circles = dots(order, xy[~seen], pitch, array=rounds[~seen], cmap=_ORDER, norm=steps)
    _finish(order, xy, pitch, line, "order of generation\n(grey: seen from the beginning)")
    bar = _bar(figure, circles, [order], "round")
    bar.set_ticks(np.unique(np.linspace(1, rounds.max(), 6).round()))
    bar.minorticks_off()
    scale_bar(axes[0])
    figure.suptitle(title, fontsize=10)
    return figure


def _finish(ax: Axes, xy: np.ndarray, pitch: float, line: float, heading: str) -> None:
    """Add heading and line, and leave nothing but the dots."""
    frame(ax, xy, pitch)
    ax.axhline(line, color=VERMILION, linewidth=1.5)
    ax.set_title(heading, fontsize=8)


def _bar(figure: Figure, circles: ScalarMappable, axes: list[Axes], label: str) -> Colorbar:
    bar = figure.colorbar(circles, ax=axes, shrink=0.8, aspect=25, pad=0.01)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7, length=2)
    bar.outline.set_visible(False)
    return bar
