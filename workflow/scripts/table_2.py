"""Table 2: macro F1 of niche annotation, beside what the paper reports; and all scores of annotation in one file."""

import logging

from gest.labellings import read_runs
from gest.logs import log_to
from gest.paper import read_paper_values
from gest.plots.page import write_text
from gest.plots.table_2 import table_2, table_2_markdown
from gest.scores import read_scores, write_scores

log_to(snakemake.log[0])

scores, runs = read_scores(snakemake.input.scores), read_runs(snakemake.input.runs)
table = table_2(scores, read_paper_values(snakemake.input.paper), runs)
text = table_2_markdown(table, run=snakemake.params.run, microns=snakemake.params.microns)
table.to_csv(snakemake.output.table, index=False)
write_text(text, snakemake.output.text, snakemake.output.page)
write_scores(scores, snakemake.output.scores)
logging.info("%d rows of %s", len(table), ", ".join(snakemake.params.datasets))
