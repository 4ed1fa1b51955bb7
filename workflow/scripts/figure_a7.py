"""Figure A.7: annotated niches of one section by every method."""

import logging

import anndata as ad

from gest.paper.figures.labels import draw_labels, read_first_runs
from gest.paper.tables.method_names import ANNOTATION_NAMES
from gest.pl.save import save
from gest.utils.logs import log_to

log_to(snakemake.log[0])

section, level = ad.read_h5ad(snakemake.input.section), snakemake.params.level
runs = read_first_runs(snakemake.input.labels, section, level=level, names=lambda _: ANNOTATION_NAMES)
title = f"Annotated niches of section {section.obs['section'].iloc[0]} (run {snakemake.params.run})"
figure = draw_labels(section, runs, level=level, task="annotation", title=title)
save(figure, snakemake.output.png, snakemake.output.pdf)
logging.info("%d methods on %d cells", len(runs), section.n_obs)
