"""The table of generation: every method's metrics per dataset and gene set, and the values that the paper reports."""

import pandas as pd

from gest.paper.scores.generation import METRICS
from gest.paper.scores.table import SPREADS, spread
from gest.paper.tables.markdown import explain_brackets, format_score, lay_out, list_failures


def generation_markdown(summary: pd.DataFrame) -> str:
    """Lay out a summary as one table per dataset and gene set.

    Rows are methods, columns are metrics as mean ± sd.

    Parameters
    ----------
    summary
        As `gest.paper.scores.table.summarise` or, with the paper's values, `gest.paper.reported.beside` returns it.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too. `gest.paper.scores.table.spread` chooses the sd; failures
        are listed below their table.
    """
    summary = summary[summary["metric"].isin(METRICS)]
    blocks = []
    for (dataset, gene_set), block in summary.groupby(["dataset", "gene_set"], sort=False):
        block, over = spread(block)
        rows = [["method", "variant", *METRICS, "sections", "crops", "seeds"]]
        for (method, variant), values in block.groupby(["method", "variant"], sort=False):
            by_metric = values.set_index("metric")
            scores = [format_score(by_metric.loc[metric]) for metric in METRICS]
            counts = [str(values.iloc[0][candidate.n]) for candidate in SPREADS]
            rows.append([method, variant, *scores, *counts])
        title = f"run {block['run'].iloc[0]}: {dataset}, genes: {gene_set} (mean{over})"
        blocks += [title, lay_out(rows), *list_failures(block)]
    return "\n\n".join([*blocks, *explain_brackets(summary)]) + "\n"
