"""Figure 4: errors and correlations of unseen cells, and the table of its numbers with paired tests."""

import logging

import pandas as pd

from gest.paper.figures.figure_4 import draw_figure_4
from gest.paper.reported import beside, read_paper_values
from gest.paper.scores.paired_tests import compare
from gest.paper.scores.table import read_scores, summarise
from gest.paper.tables.figure_4 import figure_4_markdown, figure_4_table
from gest.paper.tables.html import write_text
from gest.pl.save import save
from gest.utils.logs import log_to

log_to(snakemake.log[0])

run, [dataset] = snakemake.params.run, snakemake.params.datasets
scores = read_scores([snakemake.input.scores])
scores = scores[scores["dataset"] == dataset]
genes = pd.concat(map(pd.read_csv, snakemake.input.genes), ignore_index=True)
values = read_paper_values(snakemake.input.paper)
reported = values[(values["item"] == "generation") & (values["part"] != "")]

figure = draw_figure_4(scores, genes, slides=snakemake.params.slides, reported=reported, run=run)
table = figure_4_table(beside(summarise(scores), reported), compare(scores))
save(figure, snakemake.output.png, snakemake.output.pdf)
table.to_csv(snakemake.output.table, index=False)
write_text(figure_4_markdown(table, run=run), snakemake.output.text, snakemake.output.page)
logging.info("%d sections and %d genes of %s", scores["section"].nunique(), genes["gene"].nunique(), dataset)
