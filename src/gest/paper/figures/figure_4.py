"""Figure 4: errors and correlations of the methods per slide, and the error of every gene."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from gest.errors import UserError
from gest.paper.reported import RUN, name_run
from gest.paper.scores.paired_tests import section_means
from gest.paper.tables.figure_4 import list_panels
from gest.paper.tables.method_names import BOUND, COLOURS, CONTROLS, PAPER, add_names

# RMSE between two uncorrelated z-scored signals.
NO_CORRELATION = np.sqrt(2)
# Markers for the parts of the brain in the paper's later version, from front to back.
MARKS = {"anterior": "<", "mid": "D", "posterior": ">"}
MARK_STYLE = {"linestyle": "", "markersize": 6, "markerfacecolor": "white", "markeredgecolor": "black"}


def draw_figure_4(
    scores: pd.DataFrame, genes: pd.DataFrame, *, slides: Sequence[str], reported: pd.DataFrame, run: str
) -> Figure:
    """Draw Figure 4.

    Parameters
    ----------
    scores
        A table with `gest.paper.scores.table.COLUMNS`, of one dataset.
    genes
        Error of every gene: section, method, variant, rank (of spatial variation, from 1) and rmse_z.
    slides
        Names of the sections whose genes panel d shows.
    reported
        Values of the paper's later version by part of the brain, as `gest.paper.reported.read_paper_values` returns
        them; drawn in the paper's run only.
    run
        Name of the run; shown in the title unless it is the paper's.

    Returns
    -------
    Figure
        Neither shown nor saved. A bar is the mean over slides, and its error bar the sd. Each dot is a slide, from left
        to right in order of name. Bars of errors start at √2, the error without correlation.

    Raises
    ------
    UserError
        If one of `slides` is not among the sections.
    """
    sections = sorted(genes["section"].unique())
    if missing := [slide for slide in slides if slide not in sections]:
        raise UserError(f"figure_4.slides: {missing[0]!r} is not a test section (choose from {', '.join(sections)}).")
    if run != RUN:
        reported = reported.iloc[:0]
    figure = Figure(figsize=(12, 8.4), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.1, 1])
    _draw_slides(upper, scores, reported)
    axes = lower.subplots(1, len(slides), sharey=True, squeeze=False)[0]
    for ax, slide in zip(axes, slides, strict=True):
        _draw_genes(ax, add_names(genes[genes["section"] == slide]))
        ax.set_title(slide, fontsize=10)
    axes[0].set_title("d", loc="left", fontweight="bold")
    axes[0].set_ylabel(_label("rmse_z", "one"))
    lower.legend(handles=_gene_legend(), loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    figure.suptitle(f"Unseen cells of {scores['section'].nunique()} slides{name_run(run)}")
    return figure


def _draw_slides(figure: SubFigure, scores: pd.DataFrame, reported: pd.DataFrame) -> None:
    """Draw panels a to c, one for each metric and gene set, averaged over slides."""
    means = add_names(section_means(scores))
    panels = list_panels(scores)
    for letter, ax, (metric, gene_set) in zip("abc", figure.subplots(1, len(panels)), panels, strict=False):
        in_panel = means[(means["metric"] == metric) & (means["gene_set"] == gene_set)]
        _draw_bars(ax, in_panel.pivot(index="section", columns="name", values="value"), metric)  # noqa: PD010
        marks = reported[(reported["metric"] == metric) & (reported["gene_set"] == gene_set)]
        _draw_reported(ax, add_names(marks))
        ax.set_ylabel(_label(metric, gene_set))
        ax.set_title(letter, loc="left", fontweight="bold")
    figure.legend(handles=_slide_legend(reported), loc="outside lower center", ncols=6, frameon=False, fontsize=9)


def _label(metric: str, gene_set: str) -> str:
    """Return the label of the axis for a metric over a gene set or one gene."""
    if metric == "spearman":
        return "Spearman correlation within cell\n(over all genes; higher is better)"
    genes = {"all": "all genes", "one": "one gene"}.get(gene_set, f"top {gene_set.removeprefix('svg')} SVGs")
    return f"RMSE, {genes}\n(s.d. of the gene; lower is better)"


def _draw_bars(ax: Axes, values: pd.DataFrame, metric: str) -> None:
    """Draw values (slides, methods): a bar with its sd per method, a dot per slide.

    The bars of controls and of the bound stand apart.
    """
    names = [name for name in (*PAPER, *CONTROLS, BOUND) if name in values and values[name].notna().any()]
    base = NO_CORRELATION if metric == "rmse_z" else 0.0
    shift = np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else np.zeros(1)
    positions = [number + 0.5 * (name not in PAPER) + 0.5 * (name == BOUND) for number, name in enumerate(names)]
    for x, name in zip(positions, names, strict=True):
        style = _choose_style(name)
        mean, sd = values[name].mean(), values[name].std()
        ax.bar(x, mean - base, 0.8, base, color=COLOURS[name], edgecolor="0.4", linewidth=0.8, label=name, **style)
        ax.scatter(x + shift, values[name], s=9, color="0.15", alpha=0.7, linewidths=0, zorder=3, label=name)
        ax.errorbar(x, mean, sd, color="black", capsize=4, linewidth=1.4, zorder=4)
    ax.set_xticks(positions, names, rotation=40, ha="right", rotation_mode="anchor")
    ax.axhline(base, color="0.4", linewidth=0.8)
    ax.use_sticky_edges = metric == "spearman"  # False leaves a margin above bars of errors, which start at the line
    ax.spines[["top", "right"]].set_visible(False)


def _choose_style(name: str) -> dict[str, str]:
    """Return the style in which the bar of a control or of the bound differs."""
    if name in CONTROLS:
        return {"hatch": "///"}
    return {"linestyle": "--"} if name == BOUND else {}


def _draw_reported(ax: Axes, reported: pd.DataFrame) -> None:
    """Mark the reported values at the bars of their methods.

    Marks run from the front of the brain (left) to the back (right).
    """
    positions = {tick.get_text(): x for tick, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)}
    for shift, (part, mark) in zip((-0.25, 0.0, 0.25), MARKS.items(), strict=True):
        values = reported[(reported["part"] == part) & reported["name"].isin(positions)]
        x = values["name"].astype(str).map(positions).astype(float) + shift
        ax.plot(x, values["value"], marker=mark, label=f"reported, {part}", zorder=5, **MARK_STYLE)


def _draw_genes(ax: Axes, genes: pd.DataFrame) -> None:
    """Draw the error of every gene of a slide over its rank.

    Each method has dots and a running median; the bound has the median only.
    """
    for name in (*reversed(PAPER), BOUND):
        method = genes[genes["name"] == name].sort_values("rank")
        median = method["rmse_z"].rolling(max(11, len(method) // 20), center=True, min_periods=1).median()
        style = {"color": "0.3", "linestyle": "--"} if name == BOUND else {"color": COLOURS[name]}
        if name != BOUND:
            ax.scatter(method["rank"], method["rmse_z"], s=6, alpha=0.35, linewidths=0, label=name, **style)
        ax.plot(method["rank"], median, linewidth=2, label=name, zorder=3, **style)
    ax.axhline(NO_CORRELATION, color="0.4", linewidth=0.8)
    ax.set_xlabel("rank of spatial variation (1: most variable gene)")
    ax.spines[["top", "right"]].set_visible(False)


def _slide_legend(reported: pd.DataFrame) -> list[Line2D]:
    """Return the legend of panels a to c, with the reported marks if there are any."""
    dot = Line2D([], [], linestyle="", marker="o", markersize=4, color="0.15", label="one slide")
    bar = Line2D([], [], color="black", marker="_", markersize=9, label="mean (bar) ± s.d. over slides")
    line = Line2D([], [], color="0.4", linewidth=0.8, label="√2: no correlation")
    marks = {part: mark for part, mark in MARKS.items() if part in set(reported["part"])}
    return [
        dot,
        bar,
        line,
        *(Line2D([], [], marker=mark, label=f"reported, {part}", **MARK_STYLE) for part, mark in marks.items()),
    ]


def _gene_legend() -> list[Line2D]:
    """Return the legend of panel d."""
    methods = [Line2D([], [], color=COLOURS[name], linewidth=2, marker="o", markersize=4, label=name) for name in PAPER]
    bound = Line2D([], [], color="0.3", linewidth=2, linestyle="--", label=f"{BOUND} (bound)")
    return [*methods, bound, Line2D([], [], linestyle="", label="dots: genes; lines: running median")]
