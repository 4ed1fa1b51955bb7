"""The front page of the report: every number of the paper beside ours, with a verdict."""

import logging

from gest.logs import log_to
from gest.paper import read_paper_values
from gest.paper_comparison import compare_with_paper, incomparable
from gest.plots.page import write_text
from gest.plots.paper_comparison import paper_comparison_markdown
from gest.scores import read_scores

log_to(snakemake.log[0])

run = snakemake.params.run
why_not = incomparable(run, simulated=snakemake.params.simulated)
table = compare_with_paper(
    read_paper_values(snakemake.input.paper), read_scores(snakemake.input.scores), why_not=why_not
)
table.to_csv(snakemake.output.table, index=False)
text = paper_comparison_markdown(table, run=run, why_not=why_not)
write_text(text, snakemake.output.text, snakemake.output.page)
logging.info("%s", table["verdict"].value_counts().to_string())
