"""What every variant cost to train, and the logs of the trainings."""

from collections.abc import Mapping

import pandas as pd

from gest.paper.tables.markdown import aligned, plain

_MEANS = ["steps", "cells_per_second", "hours", "validation_loss", "late_gain_percent"]


def ablation_cost(trainings: pd.DataFrame) -> pd.DataFrame:
    """Take means over the seeds of `gest.paper.ablation.read_trainings`; `converged` is that of all of them."""
    seeds = trainings.groupby("variant", sort=False)
    fixed = [
        name for name in trainings if name not in (*_MEANS, "variant", "model_seed", "converged", "training_cells")
    ]
    fixed = [name for name in fixed if name not in ("kept_step", "validation_metacell")]
    parts = [seeds[fixed].first(), seeds[["training_cells", *_MEANS]].mean(), seeds["converged"].all(), seeds.size()]
    return pd.concat(parts, axis=1).rename(columns={0: "seeds"}).reset_index()


def ablation_cost_markdown(cost: pd.DataFrame, *, run: str, percent: float) -> str:
    """Lay `ablation_cost` out as Markdown whose columns are aligned as plain text too."""
    head = ["variant", "size", "window, µm", "parameters", "training cells", "target cells", "steps"]
    rows = [[*head, "cells/s", "hours", "device", "late gain, %", "converged"]]
    for row in cost.itertuples():
        counts = (f"{n:,.0f}" for n in (row.parameters, row.training_cells, row.target_cells, row.steps))
        size = f"L{row.layers}H{row.heads}, {row.width} wide"
        pace = [
            f"{row.cells_per_second:,.0f}",
            f"{row.hours:.3g}",
            row.device,
            f"{row.late_gain_percent:.1f}".replace("nan", "–"),
        ]
        rows.append([row.variant, size, f"{row.window:g}", *counts, *pace, "yes" if row.converged else "no"])
    notes = (
        "Hours are those of one seed, on one device. Converged: with every seed the second half of the training gained "
        f"less than {percent:g} % of what the validation loss fell by below that of the cells' frequencies alone (late "
        "gain; – where it never fell so low, or was looked at too seldom)."
    )
    return "\n\n".join([f"Cost of the variants, run {run}", "\n".join(aligned(rows)), notes]) + "\n"


def ablation_logs_markdown(logs: Mapping[str, pd.DataFrame], *, run: str) -> str:
    """Lay out logs, as `gest.paper.ablation.read_log` returns them, each under its name."""
    blocks = [f"## {name}\n\n{plain(log)}" for name, log in logs.items()]
    return "\n\n".join([f"Training logs of the variants, run {run}", *blocks]) + "\n"
