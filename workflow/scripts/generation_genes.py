"""The figure of generated genes: truth and predictions in one crop of one section."""

import logging

import anndata as ad
import numpy as np
import pandas as pd

from gest.crops import read_crops
from gest.plots.generation import draw_generation
from gest.sections import read_section
from gest.tokens import expression
from gest.vocabulary import Vocabulary

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(message)s")

section = read_section(snakemake.input.section)
vocabulary = Vocabulary.load(snakemake.input.vocabulary)
ranks = pd.read_csv(snakemake.input.svg).sort_values("rank")
genes = ranks["gene"].head(snakemake.params.genes).tolist()
columns = [list(vocabulary.genes).index(gene) for gene in genes]
crop = max(read_crops(snakemake.input.crops), key=lambda crop: crop.contains(section.obsm["spatial"]).sum()).crop

predictions = {}
for path in snakemake.input.predictions:
    predicted = ad.read_h5ad(path)
    predicted = predicted[(predicted.obs["crop"] == crop).to_numpy(), genes]
    variant = "weighted" if "weighted" in predicted.layers else "default"
    predictions[predicted.uns["gest"]["method"].replace("_", " ")] = np.asarray(predicted.layers[variant])
    cells = predicted.obs["cell"].tolist()

# All methods predict the same cells in the section's order.
unseen = section.obs_names.isin(cells)
truth = expression(section, vocabulary)[unseen][:, columns].toarray()
xy = section.obsm["spatial"]
figure = draw_generation(xy, unseen, truth, predictions, genes, title=f"{section.obs['section'].iloc[0]}, crop {crop}")
figure.savefig(snakemake.output[0])
logging.info("genes %s in %d unseen cells", ", ".join(genes), unseen.sum())
