"""Table 2: macro F1 of niche annotation beside the paper's values, and all annotation scores in one file."""

import logging

from gest.paper.reported import read_paper_values
from gest.paper.scores.runs import read_runs
from gest.paper.scores.table import read_scores, write_scores
from gest.paper.tables.html import write_text
from gest.paper.tables.table_2 import table_2, table_2_markdown
from gest.utils.logs import log_to

log_to(snakemake.log[0])

scores, runs = read_scores(snakemake.input.scores), read_runs(snakemake.input.runs)
table = table_2(scores, read_paper_values(snakemake.input.paper), runs)
text = table_2_markdown(table, run=snakemake.params.run, microns=snakemake.params.microns)
table.to_csv(snakemake.output.table, index=False)
write_text(text, snakemake.output.text, snakemake.output.page)
write_scores(scores, snakemake.output.scores)
logging.info("%d rows of %s", len(table), ", ".join(snakemake.params.datasets))
