"""Tables of the training cost of every variant, and of the training logs."""

from collections.abc import Mapping

import pandas as pd

from gest.paper.tables.markdown import lay_out, lay_out_frame

_MEANS = ["training_cells", "steps", "cells_per_second", "hours", "validation_loss", "late_gain_percent"]
_LEFT_OUT = ["variant", "model_seed", "converged", "kept_step", "validation_metacell"]


def ablation_cost(trainings: pd.DataFrame) -> pd.DataFrame:
    """Average the rows of `gest.paper.ablation.read_trainings` over the seeds.

    `converged` is true if the trainings of all seeds converged.
    """
    by_variant = trainings.groupby("variant", sort=False)
    fixed = [name for name in trainings if name not in (*_MEANS, *_LEFT_OUT)]
    parts = [by_variant[fixed].first(), by_variant[_MEANS].mean(), by_variant["converged"].all(), by_variant.size()]
    return pd.concat(parts, axis=1).rename(columns={0: "seeds"}).reset_index()


def ablation_cost_markdown(cost: pd.DataFrame, *, run: str, percent: float) -> str:
    """Lay out `ablation_cost` as Markdown whose columns are aligned as plain text too."""
    head = ["variant", "size", "window, µm", "parameters", "training cells", "target cells", "steps"]
    rows = [[*head, "cells/s", "hours", "device", "late gain, %", "converged"]]
    for row in cost.itertuples():
        size = f"L{row.layers}H{row.heads}, {row.width} wide"
        counts = [f"{n:,.0f}" for n in (row.parameters, row.training_cells, row.target_cells, row.steps)]
        pace = [f"{row.cells_per_second:,.0f}", f"{row.hours:.3g}", row.device]
        late_gain = f"{row.late_gain_percent:.1f}".replace("nan", "–")
        converged = "yes" if row.converged else "no"
        rows.append([row.variant, size, f"{row.window:g}", *counts, *pace, late_gain, converged])
    notes = (
        "Hours are those of one seed, on one device. Late gain: how much of the fall of the validation loss below that "
        "of the cells' frequencies came in the second half of the training; – if the loss never fell so low, or was "
        f"measured too seldom. Converged: less than {percent:g} % with every seed."
    )
    return "\n\n".join([f"Cost of the variants, run {run}", lay_out(rows), notes]) + "\n"


def ablation_logs_markdown(logs: Mapping[str, pd.DataFrame], *, run: str) -> str:
    """Lay out the logs that `gest.paper.ablation.read_log` returns, by name."""
    blocks = [f"## {name}\n\n{lay_out_frame(log)}" for name, log in logs.items()]
    return "\n\n".join([f"Training logs of the variants, run {run}", *blocks]) + "\n"
