"""What the variants of the model cost to train."""

import logging
from pathlib import Path

from gest.ablation import by_variant, read_trainings
from gest.logs import log_to
from gest.plots.ablation_cost import ablation_cost, ablation_cost_markdown

log_to(snakemake.log[0])

percent = snakemake.params.converged
cost = ablation_cost(read_trainings(by_variant(snakemake.input.models), percent=percent))
cost.to_csv(snakemake.output.table, index=False)
text = ablation_cost_markdown(cost, run=snakemake.params.run, percent=percent)
Path(snakemake.output.text).write_text(text, encoding="utf-8")
logging.info("%d variants", len(cost))
