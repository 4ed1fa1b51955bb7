"""Loss and RMSE against the size of the model and of the training data."""

import logging

import pandas as pd

from gest.paper.ablation import group_by_variant, read_trainings, select_variant
from gest.paper.figures.scaling import draw_scaling, scaling_table
from gest.paper.scores.table import read_scores
from gest.pl.save import save
from gest.utils.logs import log_to

log_to(snakemake.log[0])

variants = snakemake.params.variants
files, models = group_by_variant(snakemake.input.scores), group_by_variant(snakemake.input.models)
scores = pd.concat([select_variant(read_scores(files[trained]), name, mode) for name, trained, mode, _ in variants])
trained_models = {name: models[trained] for name, trained, *_ in variants}
table = scaling_table(scores, read_trainings(trained_models, percent=snakemake.params.converged))
table.to_csv(snakemake.output.table, index=False)
save(draw_scaling(table, title=f"Scaling, run {snakemake.params.run}"), snakemake.output.png, snakemake.output.pdf)
logging.info("%d points", len(table))
