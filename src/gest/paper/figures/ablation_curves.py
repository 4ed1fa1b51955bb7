"""Validation curves of every variant of the ablations."""

import math
from collections.abc import Mapping, Sequence
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure

_COLUMNS = 4
_LINE = 40  # characters that fit above a panel
_REFERENCE, _VARIANT = "0.7", "#0072B2"


def draw_curves(
    logs: Mapping[str, Sequence[pd.DataFrame]], trainings: pd.DataFrame, *, reference: str, title: str = ""
) -> Figure:
    """Draw the validation loss of every variant over the number of target cells.

    There is a panel per variant, and a line per seed.

    Parameters
    ----------
    logs
        For each variant, the logs of its models, as `gest.paper.ablation.read_log` returns them.
    trainings
        As `gest.paper.ablation.read_trainings` returns them.
    reference
        Variant whose curves are drawn in grey in every panel with the same kind of loss.
    title
        Title of the figure.

    Returns
    -------
    Figure
        Not shown and not saved.
    """
    kinds = trainings.groupby("variant")["loss"].first()
    all_converged = trainings.groupby("variant")["converged"].all()
    rows = math.ceil(len(logs) / _COLUMNS)
    figure = Figure(figsize=(3.1 * _COLUMNS, 2.3 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False)
    for ax in axes.flat[len(logs) :]:
        ax.set_axis_off()
    for ax, (variant, variant_logs) in zip(axes.flat, logs.items(), strict=False):
        if kinds[variant] == kinds[reference]:
            for log in logs[reference]:
                ax.plot(log["cells"], log["validation_loss"], color=_REFERENCE, linewidth=1)
        for log in variant_logs:
            ax.plot(log["cells"], log["validation_loss"], color=_VARIANT, linewidth=1, marker=".", markersize=3)
        state = "converged" if all_converged[variant] else "not converged"
        ax.set_title(f"{variant}: {state}\n{fill(kinds[variant], _LINE)}", fontsize=7)
        ax.tick_params(labelsize=7)
        ax.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
        ax.xaxis.get_offset_text().set_fontsize(7)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("validation loss", fontsize=8)
    figure.supxlabel(f"target cells seen in training (grey: {reference})", fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
