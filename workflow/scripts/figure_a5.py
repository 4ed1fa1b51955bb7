"""Figure A.5: true and predicted marker genes in and around the hidden part of the liver cancer section."""

import logging

import pandas as pd

from gest.data.tokenize import expression
from gest.paper.figures.generated import draw_markers
from gest.paper.figures.predictions import read_predictions
from gest.paper.methods.crops import read_crops
from gest.pl.save import save
from gest.sections import read_section
from gest.utils.logs import log_to
from gest.vocabulary import Vocabulary

SUBSTITUTES = 5  # genes to draw if the data has none of the markers

log_to(snakemake.log[0])

section = read_section(snakemake.input.section)
vocabulary = Vocabulary.load(snakemake.input.vocabulary)
vocabulary_genes = list(vocabulary.genes)
missing = [gene for gene in snakemake.params.markers if gene not in vocabulary_genes]
genes = [gene for gene in snakemake.params.markers if gene in vocabulary_genes]
kind = "marker genes"
if not genes:
    genes = pd.read_csv(snakemake.input.svg).sort_values("rank")["gene"].head(SUBSTITUTES).tolist()
    kind = "most spatially variable genes, instead of markers"
crop = read_crops(snakemake.input.crops)[0]
unseen = crop.unseen(section)
predictions = read_predictions(snakemake.input.predictions, crop.crop, section.obs_names[unseen], genes)
truth = expression(section, vocabulary)[:, [vocabulary_genes.index(gene) for gene in genes]].toarray()

title = f"Section {section.obs['section'].iloc[0]}: {kind} (run {snakemake.params.run})"
figure = draw_markers(section.obsm["spatial"], unseen, truth, predictions, genes, missing=missing, title=title)
save(figure, snakemake.output.png, snakemake.output.pdf)
logging.info("genes %s in crop %s; not in the data: %s", ", ".join(genes), crop.crop, ", ".join(missing) or "none")
