"""Table A.1: generation on liver cancer and Stereo-seq, beside the paper's values."""

import logging

from gest.paper.reported import beside, read_paper_values
from gest.paper.scores.table import read_scores, summarise
from gest.paper.tables.html import write_text
from gest.paper.tables.table_a1 import table_a1, table_a1_markdown
from gest.utils.logs import log_to

log_to(snakemake.log[0])

values = read_paper_values(snakemake.input.paper)
reported = values[values["item"].isin(["table_a1", "generation"])]
summary = beside(summarise(read_scores([snakemake.input.scores])), reported)
table = table_a1(summary[summary["dataset"].isin(snakemake.params.datasets)])
table.to_csv(snakemake.output.table, index=False)
write_text(table_a1_markdown(table, run=snakemake.params.run), snakemake.output.text, snakemake.output.page)
logging.info("%d rows of %s", len(table), ", ".join(snakemake.params.datasets))
