"""Table A.1: generation of spots of liver cancer and of the Stereo-seq brain, by every method."""

import pandas as pd

from gest.paper.reported import name_run
from gest.paper.scores.generation import keep_headline_metrics
from gest.paper.scores.table import spread
from gest.paper.tables.markdown import explain_brackets, explain_spread, format_score, lay_out, list_failures
from gest.paper.tables.method_names import add_names

COLUMNS = (
    *("method", "variant", "dataset", "metric", "gene_set", "mean", "sd", "sd_over", "n", "seeds"),
    *("paper", "paper_sd", "later", "status", "note"),
)


def table_a1(summary: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of Table A.1 from a summary with the paper's values.

    Parameters
    ----------
    summary
        As `gest.paper.reported.beside` returns it.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, sorted in the order of methods. `sd` is over the `n` units that `sd_over` names.
    """
    blocks = [spread(block)[0] for _, block in keep_headline_metrics(summary).groupby("dataset", sort=False)]
    table = add_names(pd.concat(blocks)).sort_values("name", kind="stable")
    return table.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def table_a1_markdown(table: pd.DataFrame, *, run: str) -> str:
    """Lay out Table A.1 as in the paper: methods by datasets and metrics.

    Parameters
    ----------
    table
        As `table_a1` returns it.
    run
        Name of the run; if it is not the paper's, the title says that nothing is compared.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too.
    """
    columns, notes = [], []
    for dataset, block in table.groupby("dataset", sort=False):
        top = sorted(set(block["gene_set"]) - {"all"})
        measures = [("spearman", "all"), ("rmse_z", "all"), *(("rmse_z", gene_set) for gene_set in top)]
        columns += [(dataset, *measure) for measure in measures]
        units, seeds = explain_spread(block, single="one crop"), max(block["seeds"], key=len)
        notes += [f"{dataset}: {units}; seeds (model:prediction) {seeds}.", *list_failures(block)]
    values = add_names(table).set_index(["name", "dataset", "metric", "gene_set"])
    rows = [["method", *map(" ".join, columns)]]
    for name in dict.fromkeys(values.index.get_level_values("name")):
        keys = [(name, *column) for column in columns]
        rows.append([name, *(format_score(values.loc[key]) if key in values.index else "–" for key in keys)])
    title = f"Table A.1: unseen cells, mean ± sd{name_run(run)}"
    return "\n\n".join([title, lay_out(rows), *notes, *explain_brackets(table)]) + "\n"
