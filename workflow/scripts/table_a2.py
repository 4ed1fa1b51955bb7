"""Table A.2: AMI of niche clustering by window, beside the paper's values."""

import logging

from gest.paper.reported import read_paper_values
from gest.paper.scores.runs import read_runs
from gest.paper.scores.table import read_scores
from gest.paper.tables.html import write_text
from gest.paper.tables.table_a2 import table_a2, table_a2_markdown
from gest.utils.logs import log_to

log_to(snakemake.log[0])

scores, runs = read_scores(snakemake.input.scores), read_runs(snakemake.input.runs)
table = table_a2(scores, read_paper_values(snakemake.input.paper), runs)
text = table_a2_markdown(
    table, run=snakemake.params.run, algorithm=snakemake.params.algorithm, microns=snakemake.params.microns
)
table.to_csv(snakemake.output.table, index=False)
write_text(text, snakemake.output.text, snakemake.output.page)
logging.info("%d rows of %s", len(table), ", ".join(snakemake.params.datasets))
