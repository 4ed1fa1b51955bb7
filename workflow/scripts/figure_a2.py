"""Figure A.2: true and predicted spatially variable genes in the largest crop of one section."""

import logging

import pandas as pd

from gest.data.tokenize import expression
from gest.paper.figures.generated import draw_generation
from gest.paper.figures.predictions import read_predictions
from gest.paper.methods.crops import read_crops
from gest.pl.save import save
from gest.sections import read_section
from gest.utils.logs import log_to
from gest.vocabulary import Vocabulary

log_to(snakemake.log[0])

section = read_section(snakemake.input.section)
vocabulary = Vocabulary.load(snakemake.input.vocabulary)
genes = pd.read_csv(snakemake.input.svg).sort_values("rank")["gene"].head(snakemake.params.genes).tolist()
columns = [list(vocabulary.genes).index(gene) for gene in genes]
crop = max(read_crops(snakemake.input.crops), key=lambda crop: len(crop.cells))
unseen = crop.unseen(section)
predictions = read_predictions(snakemake.input.predictions, crop.crop, section.obs_names[unseen], genes)
truth = expression(section, vocabulary)[unseen][:, columns].toarray()

name = section.obs["section"].iloc[0]
title = f"Unseen cells of section {name}: most spatially variable genes (run {snakemake.params.run})"
figure = draw_generation(section.obsm["spatial"], unseen, truth, predictions, genes, title=title)
save(figure, snakemake.output.png, snakemake.output.pdf)
logging.info("genes %s in the %d cells of crop %s", ", ".join(genes), unseen.sum(), crop.crop)
