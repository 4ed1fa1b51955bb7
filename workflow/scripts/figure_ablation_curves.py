"""Validation curves of every variant of the model."""

import logging

from gest.paper.ablation import group_by_variant, read_log, read_trainings
from gest.paper.figures.ablation_curves import draw_curves
from gest.pl.save import save
from gest.utils.logs import log_to

log_to(snakemake.log[0])

models = group_by_variant(snakemake.input.models)
trainings = read_trainings(models, percent=snakemake.params.converged)
logs = {variant: [read_log(folder) for folder in folders] for variant, folders in models.items()}
title = f"Validation loss of every variant and seed, run {snakemake.params.run}"
figure = draw_curves(logs, trainings, reference=next(iter(models)), title=title)
save(figure, snakemake.output.png, snakemake.output.pdf)
logging.info("%d variants", len(logs))
