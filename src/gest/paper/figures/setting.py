"""Maps of the seen cells and the cells to generate (Figures A.2 to A.4)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gest.pl.maps import SEEN, VERMILION, dots, frame, handle, scale_bar, spacing

_SIDE = 5.0  # inches


def draw_setting(xy: np.ndarray, unseen: np.ndarray, *, title: str, of: str = "cells") -> Figure:
    """Draw a section and the part whose expression is hidden (Figures A.3 and A.4).

    Parameters
    ----------
    xy
        (n, 2) µm.
    unseen
        (n,) booleans, true for the hidden cells.
    title
        Title of the figure.
    of
        What the dots are, for the legend: "cells", "spots" or "bins".
    """
    width, height = np.ptp(xy, axis=0)
    figure = Figure(figsize=(_SIDE, _SIDE * height / width + 1.0), layout="constrained")
    ax = figure.subplots()
    seen_and_unseen(ax, xy, unseen, names=("Ref: seen", "Test: unseen"), of=of)
    figure.suptitle(title, fontsize=10)
    return figure


def seen_and_unseen(ax: Axes, xy: np.ndarray, unseen: np.ndarray, *, names: tuple[str, str], of: str = "cells") -> None:
    """Draw cells at xy (n, 2), µm, coloured by whether they are unseen (n,)."""
    pitch = spacing(xy)
    handles = []
    for mask, colour, name in ((~unseen, SEEN, names[0]), (unseen, VERMILION, names[1])):
        dots(ax, xy[mask], 1.15 * pitch, facecolors=colour)  # they touch, so that the map shows areas
        handles.append(handle(colour, f"{name} ({mask.sum():,} {of})"))
    frame(ax, xy, pitch)
    scale_bar(ax)
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=8)
