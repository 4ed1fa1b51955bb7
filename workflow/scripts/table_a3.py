"""Table A.3: calls of genes around an infarct beside the paper's values, and all perturbation scores in one file."""

import logging
from pathlib import Path

import pandas as pd

from gest.paper.ischemia.calls import read_calls
from gest.paper.ischemia.reference import read_degs
from gest.paper.ischemia.score import score_calls
from gest.paper.reported import read_paper_values
from gest.paper.scores.table import read_scores, write_scores
from gest.paper.tables.html import write_text
from gest.paper.tables.table_a3 import table_a3, table_a3_markdown
from gest.utils.logs import log_to

log_to(snakemake.log[0])

run, main, truth = snakemake.params.run, snakemake.params.main, snakemake.params.truth
calls = read_calls(snakemake.input.calls)
replicates = pd.concat(map(pd.read_csv, snakemake.input.replicates))
core = pd.read_csv(snakemake.input.core[0], keep_default_na=False)  # the same for all models
degs = read_degs(Path(truth) if truth else None)
fields = {"run": run, "dataset": snakemake.params.reference, "section": snakemake.params.section}
write_scores(score_calls(calls, replicates, core, degs, main=main, fields=fields), snakemake.output.scores)

table = table_a3(calls[calls["variant"] == main], core, degs)
scores, values = read_scores([snakemake.output.scores]), read_paper_values(snakemake.input.paper)
table.to_csv(snakemake.output.table, index=False)
write_text(table_a3_markdown(table, scores, values, main=main, run=run), snakemake.output.text, snakemake.output.page)
logging.info("%d of %d genes are called correctly", table["correct"].sum(), len(table))
