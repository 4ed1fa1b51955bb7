"""Tables 3, 4, A.4 and `ablation_extra`: variants of the model, beside the paper's values."""

import logging

import pandas as pd

from gest.paper.ablation import group_by_variant, read_trainings, select_variant
from gest.paper.reported import read_paper_values
from gest.paper.scores.table import read_scores, write_scores
from gest.paper.tables.ablation import ablation_markdown, ablation_table
from gest.paper.tables.html import write_text
from gest.utils.logs import log_to

log_to(snakemake.log[0])

variants, percent = snakemake.params.variants, snakemake.params.converged
files, models = group_by_variant(snakemake.input.scores), group_by_variant(snakemake.input.models)
scores = pd.concat([select_variant(read_scores(files[trained]), name, mode) for name, trained, mode, _ in variants])
trainings = read_trainings({name: models[trained] for name, trained, *_ in variants}, percent=percent)
values = read_paper_values(snakemake.input.paper)
values = values[values["item"] == snakemake.params.item]

names = [name for name, *_ in variants]
references = {name: against for name, *_, against in variants if against != name}
table = ablation_table(scores, values, trainings, variants=names, references=references)
write_scores(scores, snakemake.output.scores)
table.to_csv(snakemake.output.table, index=False)
text = ablation_markdown(table, title=snakemake.params.title, run=snakemake.params.run, percent=percent)
write_text(text, snakemake.output.text, snakemake.output.page)
logging.info("%d variants, %d trained models", len(variants), len(models))
