"""Figure 2c: the spatial attention mask (Eq. 6), from the reference implementation that tests use."""

import logging

from gest.attention import spatial_mask
from gest.paper.figures.attention_mask import draw_mask
from gest.pl.save import save
from gest.utils.logs import log_to

log_to(snakemake.log[0])

mask = spatial_mask(snakemake.params.cells).numpy()
figure = draw_mask(mask, title=f"Spatial attention mask (Eq. 6), L = {len(mask) // 2} (run {snakemake.params.run})")
save(figure, snakemake.output.png, snakemake.output.pdf)
logging.info("%d of %d pairs of tokens may attend", mask.sum(), mask.size)
