"""Accumulation of errors over the rounds of generation, with and without quantisation (Figure A.1)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from gest.metrics import rmse_log
from gest.pl.maps import VERMILION, colour_limits, dots, frame, scale_bar, spacing, style_colour_bar

_SIDE = 3.0  # width of a panel, inches
_COLOURS, _ORDER, _SEEN = "viridis", "cividis", "0.75"


def errors_by_round(
    truth: np.ndarray, predictions: Mapping[tuple[str, str], np.ndarray], rounds: np.ndarray
) -> pd.DataFrame:
    """Score the cells that each round generated.

    Parameters
    ----------
    truth
        (m, T) log-normalised expression of the unseen cells.
    predictions
        (m, T) predicted log-normalised expression of each method and variant.
    rounds
        (m,) number of the round that generated each cell, from 1.

    Returns
    -------
    A row per method, variant and round: these, `cells` (their number), `rmse_log` over all genes, and `negative`, the
    share of predicted values below zero, which are impossible.
    """
    rows = []
    for (method, variant), predicted in predictions.items():
        for number in np.unique(rounds):
            in_round = rounds == number
            rows.append(
                {
                    "method": method,
                    "variant": variant,
                    "round": number,
                    "cells": in_round.sum(),
                    "rmse_log": rmse_log(truth[in_round], predicted[in_round]).value,
                    "negative": (predicted[in_round] < 0).mean(),
                }
            )
    return pd.DataFrame(rows)


def draw_accumulation(
    xy: np.ndarray,
    line: float,
    panels: Mapping[str, np.ndarray],
    rounds: np.ndarray,
    *,
    gene: str,
    title: str = "",
) -> Figure:
    """Draw one gene in a section whose upper part was generated.

    There is a panel for the truth and each prediction, and one for the order of generation.

    Parameters
    ----------
    xy
        (n, 2) µm.
    line
        y coordinate of the line, µm; cells above it were unseen.
    panels
        For each heading, (n,) log-normalised expression of the gene; the truth comes first, and its colour scale is
        used in all panels.
    rounds
        (n,) number of the round that generated each cell, from 1; 0 for seen cells.
    gene
        Name of the gene.

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
    limits = colour_limits(next(iter(panels.values())))
    for ax, (heading, values) in zip(axes, panels.items(), strict=False):
        circles = dots(ax, xy, pitch, array=values, cmap=_COLOURS, clim=limits)
        _frame(ax, xy, pitch, line, heading)
    _draw_bar(figure, circles, list(axes[:-1]), "log-normalised expression")
    axes[0].set_ylabel(gene, fontsize=10, style="italic")

    order, seen = axes[-1], rounds == 0
    steps = BoundaryNorm(np.arange(rounds.max() + 1) + 0.5, ncolors=256)
    dots(order, xy[seen], pitch, facecolors=_SEEN)
    circles = dots(order, xy[~seen], pitch, array=rounds[~seen], cmap=_ORDER, norm=steps)
    _frame(order, xy, pitch, line, "order of generation\n(grey: seen from the beginning)")
    bar = _draw_bar(figure, circles, [order], "round")
    bar.set_ticks(np.unique(np.linspace(1, rounds.max(), 6).round()))
    bar.minorticks_off()
    scale_bar(axes[0])
    figure.suptitle(title, fontsize=10)
    return figure


def _frame(ax: Axes, xy: np.ndarray, pitch: float, line: float, heading: str) -> None:
    """Add heading and line, and hide the axes."""
    frame(ax, xy, pitch)
    ax.axhline(line, color=VERMILION, linewidth=1.5)
    ax.set_title(heading, fontsize=8)


def _draw_bar(figure: Figure, circles: ScalarMappable, axes: list[Axes], label: str) -> Colorbar:
    bar = figure.colorbar(circles, ax=axes, shrink=0.8, aspect=25, pad=0.01)
    style_colour_bar(bar, label, label_size=8)
    return bar
