"""The front page of the report: every number of the paper beside ours, with a verdict."""

import logging

from gest.paper.reported import read_paper_values
from gest.paper.scores.table import read_scores
from gest.paper.tables.html import write_text
from gest.paper.tables.paper_comparison import paper_comparison_markdown
from gest.paper.verdicts import compare_with_paper, explain_incomparable
from gest.utils.logs import log_to

log_to(snakemake.log[0])

run = snakemake.params.run
why_not = explain_incomparable(run, simulated=snakemake.params.simulated)
values, scores = read_paper_values(snakemake.input.paper), read_scores(snakemake.input.scores)
table = compare_with_paper(values, scores, why_not=why_not)
table.to_csv(snakemake.output.table, index=False)
text = paper_comparison_markdown(table, run=run, why_not=why_not)
write_text(text, snakemake.output.text, snakemake.output.page)
logging.info("%s", table["verdict"].value_counts().to_string())
