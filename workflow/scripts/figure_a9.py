"""Figure A.9: all meta cells and a sample of the training cells in one UMAP."""

import logging

import numpy as np

from gest._metacells import project
from gest.data.tokenize import expression
from gest.paper.figures.metacells import draw_umap, project_umap
from gest.pl.save import save
from gest.sections import open_h5ad, read_section
from gest.utils.logs import log_to
from gest.vocabulary import Vocabulary

log_to(snakemake.log[0])

vocabulary = Vocabulary.load(snakemake.input.vocabulary)
paths, rng = snakemake.input.sections, np.random.default_rng(snakemake.params.seed)
sizes = [open_h5ad(path, backed=True).n_obs for path in paths]
ends = np.cumsum(sizes)
sample = np.sort(rng.choice(ends[-1], min(snakemake.params.cells, ends[-1]), replace=False))
samples = np.split(sample, np.searchsorted(sample, ends[:-1]))  # those of each section, numbered over all sections
points = []
for path, indices, start in zip(paths, samples, ends - sizes, strict=True):
    section = read_section(path)[indices - start]
    points.append(project(expression(section, vocabulary), vocabulary.mean, vocabulary.components))
cells, metacells = project_umap(np.concatenate(points), vocabulary.pca, seed=snakemake.params.seed)
title = f"Meta cells over the cells of {len(paths)} training sections (run {snakemake.params.run})"
save(draw_umap(cells, metacells, vocabulary.levels[0], title=title), snakemake.output.png, snakemake.output.pdf)
logging.info("%d of %d cells, %d meta cells", len(cells), ends[-1], len(metacells))
