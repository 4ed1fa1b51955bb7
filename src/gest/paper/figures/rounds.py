"""The rounds of iterative generation (Figure A.10)."""

import numpy as np
from matplotlib.figure import Figure

from gest.pl.maps import SKY_BLUE, VERMILION, dots, frame, handle, scale_bar, spacing

GENERATED = "black"
_MAX_COLUMNS = 4
_SIDE = 3.0  # width of a panel, inches


def draw_rounds(xy: np.ndarray, rounds: np.ndarray, *, title: str = "") -> Figure:
    """Draw a panel per round of generation.

    It shows the cells seen before the round, those it generated, and those still unseen after it.

    Parameters
    ----------
    xy
        (n, 2) positions of the cells in and around one crop, µm.
    rounds
        (n,) number of the round that generated each cell, from 1; 0 for cells seen from the beginning.

    Returns
    -------
    Figure
        Neither shown nor saved.
    """
    last = int(rounds.max())
    rows = -(-last // _MAX_COLUMNS)
    columns = -(-last // rows)
    width, height = np.ptp(xy, axis=0)
    size = (max(_SIDE * columns, 5.5), _SIDE * height / width * rows + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    pitch = spacing(xy)
    for number, ax in enumerate(axes, start=1):
        frame(ax, xy, pitch)
        if number > last:
            ax.set_visible(False)
            continue
        dots(ax, xy[rounds < number], pitch, facecolors=SKY_BLUE)
        dots(ax, xy[rounds > number], pitch, facecolors=VERMILION)
        dots(ax, xy[rounds == number], pitch, facecolors=GENERATED)
        ax.set_title(f"round {number}: {(rounds == number).sum():,} cells generated", fontsize=8)
        scale_bar(ax)
    handles = [
        handle(SKY_BLUE, "seen, or generated earlier"),
        handle(GENERATED, "generated in this round"),
        handle(VERMILION, "still unseen"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
