"""Figure A.1: the upper part of a section generated with and without quantisation, and the errors by round."""

import logging

import numpy as np
import pandas as pd

from gest.cli.options import choose_device
from gest.data.tokenize import expression
from gest.errors import UserError
from gest.hub.load import load
from gest.model import GeST
from gest.paper.figures.accumulation import draw_accumulation, errors_by_round
from gest.paper.tables.html import write_text
from gest.paper.tables.markdown import lay_out_frame
from gest.pl.save import save
from gest.sections import read_section
from gest.tasks.generation.rounds import aggregate, generate_tokens, tokenize_seen
from gest.utils.logs import log_to


def fill_in(generated: np.ndarray) -> np.ndarray:
    """Return the drawn gene in all cells: generated values if unseen, else true ones."""
    values = truth[:, [column]].toarray()[:, 0]
    values[unseen] = generated
    return values


def panel_title(text: str, method: str, variant: str) -> str:
    """Add the errors of the first round and of all rounds to a panel's title."""
    rows = table[(table["method"] == method) & (table["variant"] == variant)]
    overall = np.average(rows["rmse_log"] ** 2, weights=rows["cells"]) ** 0.5
    return f"{text}\nRMSE {rows['rmse_log'].iloc[0]:.3f} in round 1, {overall:.3f} in all rounds"


log_to(snakemake.log[0])

device = choose_device("auto")
quantised = load(snakemake.input.quantised, expected=GeST).to(device)
continuous = load(snakemake.input.continuous, expected=GeST).to(device)
vocabulary = quantised.vocabulary
section = read_section(snakemake.input.section)
name, xy, truth = section.obs["section"].iloc[0], section.obsm["spatial"], expression(section, vocabulary)
gene = snakemake.params.gene or pd.read_csv(snakemake.input.svg).sort_values("rank")["gene"].iloc[0]
if gene not in vocabulary.genes:
    raise UserError(f"figure_a1.gene: '{gene}' is not in the vocabulary; name one that is, e.g. {vocabulary.genes[0]}.")
column = list(vocabulary.genes).index(gene)

line = xy[:, 1].max() - snakemake.params.seen * np.ptp(xy[:, 1])
unseen = xy[:, 1] < line  # y points down: these cells are drawn above the line
seen, hidden = truth[~unseen], truth[unseen].toarray()
generated = generate_tokens(quantised, xy, tokenize_seen(quantised, seen, unseen))
unquantised = generate_tokens(continuous, xy, tokenize_seen(continuous, seen, unseen))
weighted = aggregate(generated.means, vocabulary.expression, "weighted")
picking = aggregate(generated.means, vocabulary.expression, "picking")
predictions = {
    ("gest", "weighted"): weighted,
    ("gest", "picking"): picking,
    ("no_quantisation", "continuous"): unquantised.means,
    ("mean_of_seen", "default"): np.broadcast_to(np.asarray(seen.mean(0)), hidden.shape),
}
table = errors_by_round(hidden, predictions, generated.rounds)
table.insert(0, "section", name)
table.insert(0, "dataset", snakemake.params.datasets[0])
table.to_csv(snakemake.output.table, index=False)
title = f"Figure A.1, run {snakemake.params.run}: errors (rmse_log) and share of values below zero, by round"
write_text(f"{title}\n\n{lay_out_frame(table)}\n", snakemake.output.text, snakemake.output.page)
logging.info("%s above y = %.0f µm\n%s", gene, line, table.to_string(index=False))

panels = {
    "truth\n(below the line: seen)": fill_in(hidden[:, column]),
    panel_title("with quantisation", "gest", "weighted"): fill_in(weighted[:, column]),
    panel_title("without quantisation", "no_quantisation", "continuous"): fill_in(unquantised.means[:, column]),
}
rounds = np.zeros(len(xy), dtype=int)
rounds[unseen] = generated.rounds
title = f"Section {name}: generated above the line (run {snakemake.params.run})"
figure = draw_accumulation(xy, line, panels, rounds, gene=gene, title=title)
save(figure, snakemake.output.png, snakemake.output.pdf)
