"""Maps of a section's labels: the true ones, and those of every method (Figures A.6 and A.7)."""

import os
from collections.abc import Callable, Iterable, Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb, to_hex, to_rgb
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment

from gest.paper.scores.labels import METRICS
from gest.paper.scores.runs import Labelling, read_labellings
from gest.pl.maps import dots, frame, handle, scale_bar, spacing

# Okabe and Ito's palette, which colour-blind readers can distinguish, then colours of Tol's muted palette that differ.
PALETTE = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"),
    *("#882255", "#999933", "#332288", "#117733", "#661100", "#AA4499"),
)
# Used in turn for clusters without a matching label; all are darker than `NO_LABEL`.
GREYS = ("0.4", "0.55", "0.7", "0.8")
NO_LABEL = "0.92"
SHOWN = {"clustering": "AMI", "annotation": "macro F1"}
MAX_LABELS = 30  # in the legend; more would fill the figure


def read_first_runs(
    paths: Iterable[str | os.PathLike[str]],
    section: AnnData,
    *,
    level: str,
    names: Callable[[Iterable[tuple[str, str]]], Mapping[tuple[str, str], str]],
) -> dict[str, Labelling]:
    """Read every method's first run at one level.

    Parameters
    ----------
    paths
        Files of labels, one per method; see `gest.paper.scores.runs.read_labellings`.
    section
        The section that the labels belong to.
    level
        Level of the labels.
    names
        Function that returns the names of methods and variants, in order; runs without a name are left out.

    Returns
    -------
    dict
        Name to run, in the order of `names`.

    Raises
    ------
    UserError
        If the labels belong to cells other than the section's.
    """
    runs: dict[tuple[str, str], Labelling] = {}
    for path in paths:
        labellings, _ = read_labellings(path, section.obs_names)
        for labelling in labellings:
            if labelling.level == level:
                runs.setdefault((labelling.method, labelling.variant), labelling)
    return {name: runs[pair] for pair, name in names(runs).items() if pair in runs}


def draw_labels(section: AnnData, runs: Mapping[str, Labelling], *, level: str, task: str, title: str) -> Figure:
    """Draw the true labels of a section beside those of every method.

    Clusters are matched to labels by `match_colours`, and take their colours; unmatched clusters are grey.

    Parameters
    ----------
    section
        n cells, coordinates in µm; `obs` has the level.
    runs
        Name to run.
    level
        Level of the labels.
    task
        "clustering": titles show AMI. "annotation": titles show macro F1, and nothing is matched, since methods
        predict the labels themselves.
    title
        Title of the figure.
    """
    xy = np.asarray(section.obsm["spatial"], dtype=np.float64)
    truth = section.obs[level].astype(object).where(section.obs[level].notna(), "").to_numpy().astype(str)
    labels, counts = np.unique(truth[truth != ""], return_counts=True)
    labels = labels[np.argsort(-counts, kind="stable")].tolist()  # the most distinct colours go to the most frequent
    if task == "annotation":
        labels += sorted({label for run in runs.values() for label in run.labels} - {*labels, ""})
    colours = dict(zip(labels, palette(len(labels)), strict=True))
    figure, axes = _panels(xy, len(runs) + 1)
    _draw(axes[0], xy, truth, colours, f"truth: {level}")
    scale_bar(axes[0])
    unmatched = False
    for ax, (name, run) in zip(axes[1:], runs.items(), strict=True):
        run_colours = match_colours(truth, run.labels, colours) if task == "clustering" else colours
        unmatched |= not set(run_colours.values()) <= set(colours.values())
        _draw(ax, xy, run.labels, run_colours, f"{name}\n{_describe_score(truth, run, task)}")
    handles = [handle(colour, label) for label, colour in list(colours.items())[:MAX_LABELS]]
    if len(labels) > MAX_LABELS:
        handles.append(handle("white", f"and {len(labels) - MAX_LABELS} more"))
    if unmatched:
        handles.append(handle(GREYS[1], "cluster without a label"))
    if "" in truth or not all(run.covered.all() for run in runs.values()):
        handles.append(handle(NO_LABEL, "no label"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    return figure


def match_colours(truth: np.ndarray, clusters: np.ndarray, colours: Mapping[str, str]) -> dict[str, str]:
    """Match clusters to labels one to one, and give them the labels' colours.

    The matching makes as many cells as possible agree.

    Parameters
    ----------
    truth, clusters
        (n,) text, empty for cells without a label.
    colours
        Colours of the labels.

    Returns
    -------
    dict
        Cluster to colour; a grey for a cluster that is matched to no label with a cell in common.
    """
    both = (truth != "") & (clusters != "")
    distinct, labels = np.unique(clusters[clusters != ""].astype(str)), list(colours)
    overlap = pd.crosstab(clusters[both].astype(str), truth[both].astype(str))
    overlap = overlap.reindex(index=distinct, columns=labels, fill_value=0).to_numpy()
    pairs = zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
    matched = {str(distinct[i]): colours[labels[j]] for i, j in pairs if overlap[i, j]}
    others = [str(name) for name in distinct if name not in matched]
    return matched | {name: GREYS[i % len(GREYS)] for i, name in enumerate(others)}


def palette(n: int) -> list[str]:
    """Return n colours: `PALETTE`, then hues spaced by the golden ratio."""
    more = [to_hex(hsv_to_rgb((0.618 * i % 1, 0.6, 0.9 - 0.25 * (i % 3)))) for i in range(n - len(PALETTE))]
    return [*PALETTE, *more][:n]


def _panels(xy: np.ndarray, n: int) -> tuple[Figure, list[Axes]]:
    """Make a figure with n panels for cells at xy, µm, in rows of at most four."""
    columns = min(4, n)
    rows = -(-n // columns)
    width, height = np.ptp(xy, axis=0)
    side = min(9 / columns, 3.0)
    figure = Figure(
        figsize=(max(columns * side, 6.0), rows * (side * height / width + 0.5) + 1.2), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return figure, list(axes[:n])


def _draw(ax: Axes, xy: np.ndarray, labels: np.ndarray, colours: Mapping[str, str], title: str) -> None:
    """Draw cells at xy (n, 2), µm, in the colours of their labels (n,)."""
    pitch = spacing(xy)
    faces = [to_rgb(colours.get(label, NO_LABEL)) for label in labels]
    dots(ax, xy, 1.15 * pitch, facecolors=faces)  # they touch, so that the map shows areas
    frame(ax, xy, pitch)
    ax.set_title(title, fontsize=9)


def _describe_score(truth: np.ndarray, run: Labelling, task: str) -> str:
    """Return the score of a run as text, or the reason why it has none."""
    scored = (truth != "") & run.covered
    if not scored.any():
        return fill(f"no labels: {run.status}", 34, max_lines=2)
    return f"{SHOWN[task]} {METRICS[task][1](truth[scored], run.labels[scored].astype(str)):.3f}"
