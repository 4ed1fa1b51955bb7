"""Parts of a map of cells: dots, frames, scale bars, colour scales and outlines."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colorbar import Colorbar
from matplotlib.lines import Line2D
from scipy.spatial import KDTree

# The colours are from the palette of Okabe and Ito, which colour-blind readers can distinguish.
SEEN, SKY_BLUE, VERMILION = "0.15", "#56B4E9", "#D55E00"
COLOUR_MAP = "viridis"
UNIT = "log-normalised\nexpression"
_MAX_VECTORS = 5000  # more dots than this are rasterised: as vectors they would make a PDF slow


def spacing(xy: np.ndarray) -> float:
    """Compute the typical distance between cells at (n, 2), µm.

    This is the median distance of a cell to its second nearest neighbour. On a square or hexagonal grid it is the
    pitch. For cells at random positions it is 0.73 divided by the square root of their density, so that few dots of
    this size overlap.
    """
    return float(np.median(KDTree(xy).query(xy, min(3, len(xy)))[0][:, -1]))


def dots(ax: Axes, xy: np.ndarray, pitch: float, **style: Any) -> EllipseCollection:
    """Draw circles at xy (n, 2) that nearly touch if they lie `pitch` µm apart."""
    diameter = np.full(len(xy), 0.85 * pitch)
    circles = EllipseCollection(
        diameter,
        diameter,
        np.zeros(len(xy)),
        units="xy",
        offsets=xy,
        offset_transform=ax.transData,
        linewidths=0,
        rasterized=len(xy) > _MAX_VECTORS,
        **style,
    )
    ax.add_collection(circles)
    return circles


def handle(colour: str, label: str, marker: str = "o") -> Line2D:
    """Create an entry of a legend: a dot, or another marker."""
    return Line2D([], [], linestyle="", marker=marker, markersize=5, color=colour, label=label)


def frame(ax: Axes, xy: np.ndarray, pitch: float) -> None:
    """Fit axes to dots at xy (n, 2), y downwards as in images, and hide their frame."""
    low, high = xy.min(axis=0) - pitch / 2, xy.max(axis=0) + pitch / 2
    ax.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[])
    ax.set_aspect("equal")
    ax.spines[:].set_visible(False)


def scale_bar(ax: Axes) -> None:
    """Draw a scale bar below the axes, of a round length up to a quarter of the width."""
    left, right = ax.get_xlim()
    power = 10 ** np.floor(np.log10((right - left) / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= (right - left) / 4)
    transform = ax.get_xaxis_transform()  # x in µm, y as a share of the axes' height
    ax.plot([left, left + length], [-0.02] * 2, color="black", lw=2, transform=transform, clip_on=False)
    ax.annotate(
        f"{length:g} µm",
        (left, -0.02),
        xycoords=transform,
        xytext=(0, -3),
        textcoords="offset points",
        va="top",
        fontsize=7,
        annotation_clip=False,
    )


def colour_limits(values: np.ndarray) -> tuple[float, float]:
    """Return the 1st and 99th percentile, so that outliers do not stretch the scale."""
    low, high = np.percentile(values, [1, 99])
    return low, max(high, low + 1e-6)


def style_colour_bar(bar: Colorbar, label: str, *, label_size: float = 7, tick_size: float = 7) -> None:
    """Label a colour bar, and remove its outline."""
    bar.set_label(label, fontsize=label_size)
    bar.ax.tick_params(labelsize=tick_size, length=2)
    bar.outline.set_visible(False)


def outline(ax: Axes, xy: np.ndarray, marked: np.ndarray, *, colour: str = VERMILION) -> None:
    """Draw a line around the marked (n,) cells at xy (n, 2), halfway to the others."""
    pitch = spacing(xy)
    low, high = xy[marked].min(axis=0) - 2 * pitch, xy[marked].max(axis=0) + 2 * pitch
    x, y = (np.linspace(a, b, 400) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    distance, nearest = KDTree(xy).query(grid)
    ax.contour(x, y, marked[nearest] & (distance < pitch), levels=[0.5], colors=colour, linewidths=1.2)
