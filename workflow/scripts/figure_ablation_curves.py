"""Validation curves of the variants of the model."""

import logging

from gest.ablation import by_variant, read_log, read_trainings
from gest.logs import log_to
from gest.plots.ablation_curves import draw_curves
from gest.plots.saving import save

log_to(snakemake.log[0])

models = by_variant(snakemake.input.models)
trainings = read_trainings(models, percent=snakemake.params.converged)
logs = {variant: [read_log(folder) for folder in folders] for variant, folders in models.items()}
title = f"Validation loss of every variant and seed, run {snakemake.params.run}"
figure = draw_curves(logs, trainings, reference=next(iter(models)), title=title)
save(figure, snakemake.output.png, snakemake.output.pdf)
logging.info("%d variants", len(logs))
