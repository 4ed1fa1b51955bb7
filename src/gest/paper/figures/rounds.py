"""Iterative generation, round by round (Figure A.10)."""

import numpy as np
from matplotlib.figure import Figure

from gest.pl.maps import SKY_BLUE, VERMILION, dots, frame, handle, scale_bar, spacing

GENERATED = "black"
_COLUMNS = 4  # at most


def draw_rounds(xy: np.ndarray, rounds: np.ndarray, *, title: str = "") -> Figure:
    """Draw a panel per round: what was seen before it, what it generated, and what is still unseen after it.

    Parameters
    ----------
    xy
        (n, 2) of the cells in and around one crop, µm.
    rounds
        (n,) the round that generated each cell, from 1; 0 for cells that were seen from the beginning.

    Returns
    -------
    Figure
        Not shown and not saved.
    """
    last = int(rounds.max())
    lines = -(-last // _COLUMNS)
    columns = -(-last // lines)
    width, height = np.ptp(xy, axis=0)
    side = 3.0
    size = (max(side * columns, 5.5), side * height / width * lines + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    pitch = spacing(xy)
    for number, ax in enumerate(axes, start=1):
        frame(ax, xy, pitch)
        if number > last:
            ax.set_visible(False)
            continue
        for mask, colour in (
            (rounds < number, SKY_BLUE),
            (rounds > number, VERMILION),
            (rounds == number, GENERATED),
        ):
            dots(ax, xy[mask], pitch, facecolors=colour)
        ax.set_title(f"round {number}: {(rounds == number).sum():,} cells generated", fontsize=8)
        scale_bar(ax)
    handles = [
        handle(SKY_BLUE, "seen, or generated before"),
        handle(GENERATED, "generated in this round"),
        handle(VERMILION, "still unseen"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
