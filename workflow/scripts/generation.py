"""The table of generation: all scores in one file, and their summary as csv and as text."""

import logging

from gest.paper.reported import beside, read_paper_values
from gest.paper.scores.table import read_scores, summarise, write_scores
from gest.paper.tables.generation import generation_markdown
from gest.paper.tables.html import write_text
from gest.utils.logs import log_to

log_to(snakemake.log[0])

scores = read_scores(snakemake.input.scores)
values = read_paper_values(snakemake.input.paper)
summary = beside(summarise(scores), values[values["item"].isin(["table_a1", "generation"])])
write_scores(scores, snakemake.output.scores)
summary.to_csv(snakemake.output.table, index=False)
write_text(generation_markdown(summary), snakemake.output.text, snakemake.output.page)
logging.info("%d scores of %d files", len(scores), len(snakemake.input.scores))
