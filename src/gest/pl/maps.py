"""Cells where they lie: dots as large as the cells are apart, scale bars, outlines, and seen and unseen cells."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.spatial import KDTree

# Of the colours of Okabe and Ito, which can be told apart by everybody.
SEEN, SKY_BLUE, VERMILION = "0.15", "#56B4E9", "#D55E00"
COLOUR_MAP = "viridis"
UNIT = "log-normalised\nexpression"
_MANY = 5000  # dots: as vectors so many would make a PDF slow, so they become an image in it


def draw_setting(xy: np.ndarray, unseen: np.ndarray, *, title: str, of: str = "cells") -> Figure:
    """Draw a section with the part whose expression is hidden (Figures A.3 and A.4).

    Parameters
    ----------
    xy
        (n, 2) µm.
    unseen
        (n,) booleans.
    title
        Of the figure.
    of
        What the dots are, in the plural: cells, or spots.
    """
    width, height = np.ptp(xy, axis=0)
    side = 5.0
    figure = Figure(figsize=(side, side * height / width + 1.0), layout="constrained")
    ax = figure.subplots()
    seen_and_unseen(ax, xy, unseen, names=("Ref: seen", "Test: unseen"), of=of)
    figure.suptitle(title, fontsize=10)
    return figure


def seen_and_unseen(ax: Axes, xy: np.ndarray, unseen: np.ndarray, *, names: tuple[str, str], of: str = "cells") -> None:
    """Draw the cells of a section (n, 2), µm, black where seen and red where unseen (n,), with legend and scale bar."""
    pitch = spacing(xy)
    handles = []
    for mask, colour, name in ((~unseen, SEEN, names[0]), (unseen, VERMILION, names[1])):
        dots(ax, xy[mask], 1.15 * pitch, facecolors=colour)  # they touch: what is shown is the area
        handles.append(handle(colour, f"{name} ({mask.sum():,} {of})"))
    frame(ax, xy, pitch)
    scale_bar(ax)
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=8)


def spacing(xy: np.ndarray) -> float:
    """Return how far apart cells at (n, 2) lie, µm: the median distance to the second nearest.

    On a grid, square or hexagonal, that is its pitch; where cells lie at random it is 0.73 over the root of their
    density, so that few dots of this size hide each other.
    """
    return float(np.median(KDTree(xy).query(xy, min(3, len(xy)))[0][:, -1]))


def dots(ax: Axes, xy: np.ndarray, pitch: float, **style: Any) -> EllipseCollection:
    """Draw circles at xy (n, 2) that nearly touch if they lie `pitch` apart, µm; `style` is the collection's."""
    diameter = np.full(len(xy), 0.85 * pitch)
    circles = EllipseCollection(
        diameter,
        diameter,
        np.zeros(len(xy)),
        units="xy",
        offsets=xy,
        offset_transform=ax.transData,
        linewidths=0,
        rasterized=len(xy) > _MANY,
        **style,
    )
    ax.add_collection(circles)
    return circles


def handle(colour: str, label: str, marker: str = "o") -> Line2D:
    """Return a dot for a legend."""
    return Line2D([], [], linestyle="", marker=marker, markersize=5, color=colour, label=label)


def frame(ax: Axes, xy: np.ndarray, pitch: float) -> None:
    """Leave nothing but the dots at xy (n, 2), x and y on one scale; y points down, as in images of tissue."""
    low, high = xy.min(axis=0) - pitch / 2, xy.max(axis=0) + pitch / 2
    ax.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[])
    ax.set_aspect("equal")
    ax.spines[:].set_visible(False)


def scale_bar(ax: Axes) -> None:
    """Draw a bar of a round length, about a quarter of the width, below the axes, and write its length in µm."""
    left, right = ax.get_xlim()
    power = 10 ** np.floor(np.log10((right - left) / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= (right - left) / 4)
    across = ax.get_xaxis_transform()  # x in µm, y in parts of the axes
    ax.plot([left, left + length], [-0.02] * 2, color="black", lw=2, transform=across, clip_on=False)
    ax.annotate(
        f"{length:g} µm",
        (left, -0.02),
        xycoords=across,
        xytext=(0, -3),
        textcoords="offset points",
        va="top",
        fontsize=7,
        annotation_clip=False,
    )


def outline(ax: Axes, xy: np.ndarray, marked: np.ndarray, *, colour: str = VERMILION) -> None:
    """Draw a line around the marked (n,) ones of the cells at xy (n, 2), µm, half way to the others."""
    pitch = spacing(xy)
    low, high = xy[marked].min(axis=0) - 2 * pitch, xy[marked].max(axis=0) + 2 * pitch
    x, y = (np.linspace(a, b, 400) for a, b in zip(low, high, strict=True))
    places = np.stack(np.meshgrid(x, y), axis=-1)
    distance, nearest = KDTree(xy).query(places)
    ax.contour(x, y, marked[nearest] & (distance < pitch), levels=[0.5], colors=colour, linewidths=1.2)
