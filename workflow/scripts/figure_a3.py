"""Figure A.3: seen and hidden spots of the liver cancer section."""

import logging

from gest.paper.figures.setting import draw_setting
from gest.paper.methods.crops import read_crops
from gest.pl.save import save
from gest.sections import read_section
from gest.utils.logs import log_to

log_to(snakemake.log[0])

section = read_section(snakemake.input.section)
crop = read_crops(snakemake.input.crops)[0]
unseen = crop.unseen(section)
title = f"Evaluation setting of section {section.obs['section'].iloc[0]} (run {snakemake.params.run})"
save(draw_setting(section.obsm["spatial"], unseen, title=title, of="spots"), snakemake.output.png, snakemake.output.pdf)
logging.info("crop %s (%s): %d of %d spots unseen", crop.crop, crop.shape, unseen.sum(), len(unseen))
