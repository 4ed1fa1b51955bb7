"""Figure 5: correlations with the peri-infarct area and maps of genes, for the first replicate of the first model."""

import logging

import anndata as ad
import pandas as pd

from gest.paper.figures.figure_5 import correlation_test, draw_figure_5
from gest.paper.ischemia.calls import read_calls, vote
from gest.pl.save import save
from gest.utils.logs import log_to

log_to(snakemake.log[0])

main = snakemake.params.main
calls = read_calls(snakemake.input.calls)
replicates = pd.concat(map(pd.read_csv, snakemake.input.replicates))
cells = ad.read_h5ad(snakemake.input.cells[0])

figure = draw_figure_5(
    cells,
    replicates[replicates["variant"] == main],
    vote(calls[calls["variant"] == main])["call"],
    shown=snakemake.params.shown,
    around=snakemake.params.around,
    run=snakemake.params.run,
)
save(figure, snakemake.output.png, snakemake.output.pdf)
logging.info("%d cells, p = %.3g (Wilcoxon, paired)", cells.n_obs, correlation_test(cells))
