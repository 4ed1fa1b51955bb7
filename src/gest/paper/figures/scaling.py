"""Loss and RMSE over the size of the model and of its training data (Table 3 as a figure)."""

import pandas as pd
from matplotlib.figure import Figure

from gest.paper.ablation import average_seeds

_COLOUR = "#0072B2"


def scaling_table(scores: pd.DataFrame, trainings: pd.DataFrame) -> pd.DataFrame:
    """Collect the values of the figure.

    Parameters
    ----------
    scores
        Scores of the variants, each by `gest.paper.ablation.select_variant`.
    trainings
        Trainings of the variants, as `gest.paper.ablation.read_trainings` returns them.

    Returns
    -------
    pandas.DataFrame
        `by` ("parameters": all models trained on all the data; "training_cells": all models of the size that was also
        trained on part of the data), `variant`, `model_seed`, `size`, `measure` ("validation_metacell", or "rmse_z, "
        and the gene set) and `value`.
    """
    rmse = average_seeds(scores[scores["metric"] == "rmse_z"]).rename("value").reset_index()
    loss = trainings.rename(columns={"validation_metacell": "value"})[["variant", "model_seed", "value"]]
    measures = pd.concat(
        [
            loss.assign(measure="validation_metacell"),
            *(rows.assign(measure=f"rmse_z, {genes}") for genes, rows in rmse.groupby("gene_set")),
        ]
    )[["variant", "model_seed", "measure", "value"]]
    table = measures.merge(trainings[["variant", "model_seed", "parameters", "training_cells"]])
    whole = table["training_cells"] == table["training_cells"].max()
    parts = [table[whole].assign(by="parameters", size=lambda rows: rows["parameters"])]
    same_size = table["parameters"].isin(table.loc[~whole, "parameters"])
    parts.append(table[same_size].assign(by="training_cells", size=lambda rows: rows["training_cells"]))
    return pd.concat(parts, ignore_index=True)[["by", "variant", "model_seed", "size", "measure", "value"]]


def draw_scaling(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw the values of `scaling_table`, with a row of panels per measure.

    The left panel is over the number of parameters, the right one over training cells.

    Returns
    -------
    Figure
        Neither shown nor saved. Each dot is a seed, and a line connects the means of variants.
    """
    measures = list(dict.fromkeys(table["measure"]))
    figure = Figure(figsize=(7.5, 2.3 * len(measures) + 0.5), layout="constrained")
    axes = figure.subplots(len(measures), 2, sharex="col", squeeze=False)
    sides = {"parameters": "parameters of the model", "training_cells": "training cells"}
    for row, measure in zip(axes, measures, strict=True):
        for ax, (by, label) in zip(row, sides.items(), strict=True):
            dots = table[(table["measure"] == measure) & (table["by"] == by)]
            means = dots.groupby("variant")[["size", "value"]].mean().sort_values("size")
            ax.plot(dots["size"], dots["value"], "o", color=_COLOUR, alpha=0.4, markersize=4)
            ax.plot(means["size"], means["value"], color=_COLOUR, linewidth=1)
            for size, same in means.groupby("size"):  # variants of the same size share a label
                at = (size, same["value"].max())
                ax.annotate("\n".join(same.index), at, xytext=(3, 4), textcoords="offset points", fontsize=6)
            ax.set_xscale("log")
            sizes = means["size"].unique()
            ax.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
            ax.minorticks_off()
            ax.margins(x=0.15, y=0.25)
            ax.tick_params(labelsize=7)
            ax.spines[["top", "right"]].set_visible(False)
            if measure == measures[-1]:
                ax.set_xlabel(label, fontsize=8)
        name = "validation loss, first level" if measure == "validation_metacell" else measure.replace("rmse_z", "RMSE")
        row[0].set_ylabel(name, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
