"""Figure A.10: rounds of iterative generation, in the crop that takes the most rounds."""

import logging

import anndata as ad
import numpy as np
import pandas as pd

from gest.paper.figures.predictions import select_first_run
from gest.paper.figures.rounds import draw_rounds
from gest.pl.save import save
from gest.sections import read_section
from gest.utils.logs import log_to

log_to(snakemake.log[0])

section = read_section(snakemake.input.section)
xy = section.obsm["spatial"]
generated = select_first_run(ad.read_h5ad(snakemake.input.rounds)).obs
# The crop with the most rounds and, among equals, the most cells.
crops = generated.astype({"crop": str}).groupby("crop")["round"].agg(["max", "size"]).sort_values(["max", "size"])
crop = crops.index[-1]
in_crop = generated[generated["crop"] == crop]
rounds = pd.Series(0, index=section.obs_names)
rounds[in_crop["cell"]] = in_crop["round"].to_numpy()
unseen = rounds.to_numpy() > 0

margin = snakemake.params.window / 2  # cells further away are in no window of an unseen cell
near = ((xy >= xy[unseen].min(axis=0) - margin) & (xy <= xy[unseen].max(axis=0) + margin)).all(axis=1)
title = (
    f"Section {section.obs['section'].iloc[0]}: iterative generation in windows of {snakemake.params.window:g} µm "
    f"(run {snakemake.params.run})"
)
save(draw_rounds(xy[near], rounds.to_numpy()[near], title=title), snakemake.output.png, snakemake.output.pdf)
logging.info("crop %s: cells per round %s", crop, np.bincount(rounds[unseen])[1:].tolist())
