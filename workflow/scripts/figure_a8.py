"""Figure A.8: the cells of one training window in random and in ordinal order."""

import logging

import numpy as np

from gest.paper.figures.serialisation import choose_window, draw_orders
from gest.pl.save import save
from gest.sections import read_section
from gest.utils.logs import log_to
from gest.windows import serialize

log_to(snakemake.log[0])

section = read_section(snakemake.input.section)
xy = section.obsm["spatial"]
cells, centre, side = choose_window(xy, snakemake.params.window)
corner = centre + side / 2  # upper right: the sequence starts at the lower left, as in the paper
sequences = {}
for order in ("random", "ordinal"):
    rng = np.random.default_rng(snakemake.params.seed)
    sequence = serialize(xy[cells], corner=corner, order=order, sharpness=snakemake.params.sharpness, rng=rng)
    sequences[f"{order} order"] = cells[sequence]

size = f"{side:g} µm, the model's"
if side < snakemake.params.window:
    size = f"{side:g} µm, smaller than the model's {snakemake.params.window:g} µm"
name = section.obs["section"].iloc[0]
title = f"Section {name}: {len(cells)} cells in a window of {size} (run {snakemake.params.run})"
figure = draw_orders(xy, sequences, centre=centre, side=side, corner=corner, title=title)
save(figure, snakemake.output.png, snakemake.output.pdf)
logging.info("%d cells in a window of %g µm around %s µm", len(cells), side, centre.round(1).tolist())
