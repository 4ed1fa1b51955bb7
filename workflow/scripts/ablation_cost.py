"""The training cost of every variant of the model, and the training logs."""

import logging

from gest.paper.ablation import group_by_variant, read_log, read_trainings
from gest.paper.tables.ablation_cost import ablation_cost, ablation_cost_markdown, ablation_logs_markdown
from gest.paper.tables.html import write_text
from gest.utils.logs import log_to

log_to(snakemake.log[0])

models, percent = group_by_variant(snakemake.input.models), snakemake.params.converged
cost = ablation_cost(read_trainings(models, percent=percent))
cost.to_csv(snakemake.output.table, index=False)

text = ablation_cost_markdown(cost, run=snakemake.params.run, percent=percent)
write_text(text, snakemake.output.text, snakemake.output.page)

logs = {f"{name}, {folder.name}": read_log(folder) for name, folders in models.items() for folder in folders}
text = ablation_logs_markdown(logs, run=snakemake.params.run)
write_text(text, snakemake.output.logs, snakemake.output.logs_page)
logging.info("%d variants", len(cost))
