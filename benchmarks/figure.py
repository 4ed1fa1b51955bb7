"""Draw the figure of the benchmarks: one panel for each of six results."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


def draw(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw one panel per result; without a result it shows `not measured`."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(2, 3)
    panels = (
        ("attention_memory", "path", "L", "mb", "attention: cells L", "peak memory of a window, MB"),
        ("attention", "path", "L", "ms", "attention: cells L", "forward and backward, ms"),
        ("step", "path", None, "cells_per_s", "", "training, cells/s"),
        ("packaged", "method", "cells", "seconds", "cells of the section", "embedding, seconds"),
        ("generation", "window", "unseen_cells", "seconds", "unseen cells", "generation, seconds"),
        ("growth", "stage", "cells", "seconds", "cells", "stage, seconds"),
    )
    for ax, (name, key, x, y, below, beside) in zip(axes.flat, panels, strict=True):
        ax.set_xlabel(below, fontsize=8)
        ax.set_ylabel(beside, fontsize=8)
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right"]].set_visible(False)
        if name not in tables:
            ax.text(0.5, 0.5, "not measured", ha="center", va="center", transform=ax.transAxes, fontsize=8)
        elif x is None:
            bars(ax, tables[name], key, y)
        else:
            lines(ax, tables[name], key, x, y)
    return figure


def lines(ax: Axes, table: pd.DataFrame, key: str, x: str, y: str) -> None:
    """Draw one line per path and device, with logarithmic axes."""
    for i, ((name, device), rows) in enumerate(table.groupby([key, "device"], sort=False)):
        label = name if isinstance(name, str) else f"window {name:g} µm"
        style = {"linestyle": "-" if device == "cpu" else "--", "color": COLOURS[i % len(COLOURS)]}
        ax.plot(rows[x], rows[y], "o", markersize=3, label=label if device == "cpu" else f"{label}, {device}", **style)
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(sizes := sorted(table[x].unique()), [f"{size:,}" for size in sizes])
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if table[y].max() < 1000 * table[y].min() else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    ax.minorticks_off()
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncol": 3, "handlelength": 1, "columnspacing": 1}
    ax.legend(fontsize=6, frameon=False, **above)


def bars(ax: Axes, table: pd.DataFrame, key: str, y: str) -> None:
    """Draw one bar per path and device."""
    names = table[key].where(table["device"] == "cpu", table[key] + "\n" + table["device"])
    ax.bar(names, table[y], color=COLOURS[0])
