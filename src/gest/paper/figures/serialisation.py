"""The order of a window's cells in the sequence (Figure A.8)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gest.pl.maps import SKY_BLUE, VERMILION, dots, frame, handle, scale_bar, spacing
from gest.windows import Grid

_MAX_CELLS = 60  # more numbers would be unreadable
_MARGIN = 0.15  # drawn on each side of the window, as a share of its side


def choose_window(xy: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Choose a window in the middle of a section with few enough cells to number.

    Parameters
    ----------
    xy
        (n, 2) µm.
    side
        Side of the model's window, µm.

    Returns
    -------
    Indices of its cells, its centre (2,) and its side, µm: `side` or, if that window has more than 60 cells, the
    largest multiple of 10 µm with at most 60.
    """
    centre = xy[np.linalg.norm(xy - np.median(xy, axis=0), axis=1).argmin()]
    # The reach of a cell is the side of the smallest window around `centre` that holds it.
    reach = 2 * np.sort(np.abs(xy - centre).max(axis=1))
    if len(xy) > _MAX_CELLS and reach[_MAX_CELLS] <= side:
        side = 10 * (np.ceil(reach[_MAX_CELLS] / 10) - 1)
    return Grid(xy, side).window(centre, side), centre, float(side)


def draw_orders(
    xy: np.ndarray,
    sequences: Mapping[str, np.ndarray],
    *,
    centre: np.ndarray,
    side: float,
    corner: np.ndarray,
    title: str = "",
) -> Figure:
    """Draw a window in its section, and its cells numbered in each sequence.

    Parameters
    ----------
    xy
        (n, 2) positions of all cells of the section, µm.
    sequences
        For the name of each order, (N,) indices into `xy` in that order; drawn in one panel each.
    centre, side
        Centre (2,) and side of the window, µm.
    corner
        (2,) µm, vertex p of Eq. 5.

    Returns
    -------
    Figure
        Neither shown nor saved.
    """
    panel = 4.2  # inches
    figure = Figure(figsize=(panel * (0.7 + len(sequences)), panel + 0.9), layout="constrained")
    ratios = [0.7, *[1] * len(sequences)]
    section, *panels = figure.subplots(1, 1 + len(sequences), width_ratios=ratios)
    cells = next(iter(sequences.values()))
    dots(section, xy, spacing(xy), facecolors=SKY_BLUE)
    dots(section, xy[cells], spacing(xy), facecolors=VERMILION)
    frame(section, xy, spacing(xy))
    _draw_window(section, centre, side)
    section.set_title("section", fontsize=9)
    scale_bar(section)
    for ax, (name, sequence) in zip(panels, sequences.items(), strict=True):
        _draw_order(ax, xy, sequence, centre=centre, side=side)
        ax.set_title(name, fontsize=9)
    panels[-1].plot(*corner, marker="*", color="black", markersize=11, linestyle="", clip_on=False)
    handles = [
        handle(SKY_BLUE, "cells of the section"),
        handle(VERMILION, "cells of the window, with their place in the sequence"),
        handle("black", "corner p: cells far from it tend to come first", marker="*"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure


def _draw_window(ax: Axes, centre: np.ndarray, side: float) -> None:
    ax.add_patch(Rectangle(centre - side / 2, side, side, fill=False, edgecolor="black", linewidth=1))


def _draw_order(ax: Axes, xy: np.ndarray, sequence: np.ndarray, *, centre: np.ndarray, side: float) -> None:
    """Draw the window's cells, numbered from 1, and the other cells near it."""
    shown = side * (0.5 + _MARGIN)
    near = (np.abs(xy - centre) <= shown).all(axis=1)
    pitch = spacing(xy[sequence])
    dots(ax, xy[near], 0.35 * pitch, facecolors=SKY_BLUE)
    dots(ax, xy[sequence], 0.35 * pitch, facecolors=VERMILION)
    for number, (x, y) in enumerate(xy[sequence], start=1):
        ax.annotate(str(number), (x, y), xytext=(2.5, 2.5), textcoords="offset points", fontsize=7)
    frame(ax, centre + np.array([[-shown, -shown], [shown, shown]]), 0)
    _draw_window(ax, centre, side)
    scale_bar(ax)
