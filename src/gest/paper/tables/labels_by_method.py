"""Tables 1, 2 and A.2: summarise scores of labels, and lay them out as methods by levels.

`labels_table` computes the rows of all three. `labels_markdown` lays out Tables 1 and 2; Table A.2 has another layout,
but uses the same notes (`explain_reported`, `list_failures` and others).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gest.paper.reported import beside, name_run
from gest.paper.scores.labels import ALL, SHARED
from gest.paper.scores.table import spread, summarise
from gest.paper.tables.markdown import explain_spread, format_score, lay_out

COLUMNS = (
    *("dataset", "cells", "level", "name", "method", "variant", "metric", "mean", "sd", "sd_over", "n", "sd_seeds"),
    *("n_seeds", "seeds", "n_cells", "n_sections", "sections", "coverage", "n_clusters", "seconds", "peak_mb"),
    *("version", "paper", "paper_sd", "status", "note"),
)
KEYS = ["dataset", "method", "variant", "level"]
COSTS = ["coverage", "n_clusters", "seconds", "peak_mb"]
BRACKETS = "In brackets the paper's value."
COST = (
    "Packaged methods run on one thread of a CPU, GeST on all threads of its job or on a GPU: seconds do not show "
    "which method does less work."
)


def labels_table(
    scores: pd.DataFrame,
    values: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    metric: str,
    names: Mapping[tuple[str, str], str],
) -> pd.DataFrame:
    """Summarise the scores of labels, with costs and the paper's values.

    Parameters
    ----------
    scores
        Scores of one run and task, as `gest.paper.scores.labels.score_labellings` returns them.
    values
        Rows of `gest.paper.reported.read_paper_values`, with the names of our variants.
    runs
        As `gest.paper.scores.runs.read_runs` returns them; they give the versions of packages.
    metric
        Metric of the task.
    names
        The name of each method and variant in the table, in the order of rows; others are left out.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, by dataset, cells ("all" that a method covers, or those "shared" by all methods), level and name.
        `sd` is over the `n` units that `sd_over` names; coverage, clusters found, seconds and MB are means. A method
        has scores on `n_sections` of the `sections` that have labels. Rows of shared cells leave out the sections on
        which a method failed; a method that failed on all sections does not count, and has no numbers.
    """
    scores = scores[pd.MultiIndex.from_frame(scores[["method", "variant"]]).isin(list(names))]
    of_metric = scores[scores["metric"] == metric]
    tables = []
    for cells, chosen in (("all", of_metric[of_metric["crop"] == ALL]), ("shared", _select_shared(of_metric))):
        summary = summarise(chosen)
        # The paper reports no restriction to shared cells: its values are compared with those of all cells.
        summary = beside(summary, values) if cells == "all" else summary
        tables += [spread(block)[0].assign(cells=cells) for _, block in summary.groupby("dataset")]
    table = _add_costs(pd.concat(tables), scores, runs)
    pairs = list(zip(table["method"], table["variant"], strict=True))
    table = table.assign(name=[names[pair] for pair in pairs], place=[list(names).index(pair) for pair in pairs])
    for key in ("dataset", "level"):  # in the order of the scores
        table[key] = pd.Categorical(table[key], categories=scores[key].unique(), ordered=True)
    table = table.sort_values(["dataset", "cells", "level", "place"]).astype({"dataset": str, "level": str})
    return table.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def labels_markdown(table: pd.DataFrame, *, title: str, run: str, notes: Sequence[str]) -> str:
    """Lay out one table per dataset, with methods as rows and levels as columns.

    If a method does not cover all cells, a table of the shared cells follows.

    Parameters
    ----------
    table
        As `labels_table` returns it.
    title
        Title of the table.
    run
        Name of the run; if it is not the paper's, the title says that nothing is compared.
    notes
        Sentences below the tables.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too.
    """
    blocks = [f"{title}{name_run(run)}."]
    for dataset, block in table.groupby("dataset", sort=False):
        everywhere, shared = (block[block["cells"] == cells] for cells in ("all", "shared"))
        blocks.append(f"{dataset}: {summarise_spread(everywhere)}")
        blocks += [lay_out(_list_rows(everywhere, costs=True)), *list_failures(everywhere)]
        if (everywhere["coverage"] < 1).any():
            blocks += _lay_out_shared(str(dataset), shared)
    return "\n\n".join([*blocks, *explain_reported(table), *notes]) + "\n"


def count_sections(rows: pd.DataFrame) -> str:
    """Return how many of the labelled sections have scores, as n/N for each row."""
    return ", ".join(f"{row.n_sections}/{row.sections}" for row in rows.itertuples())


def lacks_sections(block: pd.DataFrame) -> bool:
    """Return whether a method lacks scores on a section that has labels."""
    return bool((block["n_sections"] < block["sections"]).any())


def summarise_spread(block: pd.DataFrame) -> str:
    """Say what the ± of a dataset is over, and which seeds were used."""
    units = explain_spread(block, single="one section and seed")
    return f"{units}; seeds (model:run) up to {max(block['seeds'], key=len)}."


def explain_reported(table: pd.DataFrame) -> list[str]:
    """Return notes on the paper's values and contradictions, if any are shown."""
    if not table["paper"].notna().any():
        return []
    noted = table[table["paper"].notna() & (table["note"] != "")]
    return [BRACKETS, *(f"{row['name']}, {row.level}: {row.note}" for _, row in noted.iterrows())]


def list_failures(block: pd.DataFrame) -> list[str]:
    """Return a note for each method and level that failed, with the reason."""
    failed = block[block["status"] != "ok"].drop_duplicates(["name", "status"])
    return [f"{row['name']}, {row.level}: {row.status}" for _, row in failed.iterrows()]


def note_units(microns: Mapping[str, float | None]) -> list[str]:
    """Return a note for each dataset that declares the length of its unit, in µm."""
    return [
        f"{name}: one unit of the coordinates is declared to be {unit:g} µm." for name, unit in microns.items() if unit
    ]


def _add_costs(table: pd.DataFrame, scores: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Add `COSTS`, the number of labelled sections and the package's version."""
    costs = summarise(scores[scores["metric"].isin(COSTS)]).pivot(index=KEYS, columns="metric", values="mean")  # noqa: PD010
    labelled = scores[(scores["metric"] == "coverage") & scores["value"].notna()]
    sections = labelled.groupby(["dataset", "level"])["section"].nunique().rename("sections")
    versions = runs[runs["version"] != ""].groupby(["method", "variant"])["version"].agg(_join_distinct)
    table = table.merge(costs.reset_index(), on=KEYS, how="left")
    table = table.merge(sections.reset_index(), on=["dataset", "level"], how="left")
    table = table.merge(versions.reset_index(), on=["method", "variant"], how="left")
    return table.fillna({"note": "", "version": "", "sections": 0}).astype({"sections": int})


def _select_shared(scores: pd.DataFrame) -> pd.DataFrame:
    """Select the scores of shared cells on the sections where no method failed.

    A method that failed on all sections does not exclude any.
    """
    shared = scores[scores["crop"] == SHARED]
    scored = shared[shared["status"] == "ok"].assign(pair=shared["method"] + "/" + shared["variant"])
    by_level = scored.groupby(["dataset", "level"])["pair"].transform("nunique")
    everyone = scored.groupby(["dataset", "level", "section"])["pair"].transform("nunique") == by_level
    sections = pd.MultiIndex.from_frame(scored.loc[everyone, ["dataset", "level", "section"]])
    return shared[pd.MultiIndex.from_frame(shared[["dataset", "level", "section"]]).isin(sections)]


def _lay_out_shared(dataset: str, shared: pd.DataFrame) -> list[str]:
    """Return the heading and table of the scores on shared cells."""
    if shared.empty:
        return [
            f"{dataset}: no section was scored by every method, so that no comparison on the same cells is possible."
        ]
    n_cells = shared.groupby("level", sort=False)["n_cells"].max()
    cells = ", ".join(f"{n:,} by {level}" for level, n in n_cells.items())
    heading = (
        f"{dataset}, on the sections and cells that every method scored ({cells}): a section on which a method failed "
        "is left out, and so is a method that failed on all. A method that covers less than 100% failed, or ran on a "
        f"random part of the cells, limited by the configuration. Here {summarise_spread(shared)}"
    )
    return [heading, lay_out(_list_rows(shared, costs=False))]


def _list_rows(block: pd.DataFrame, *, costs: bool) -> list[list[str]]:
    """Return the rows of one dataset's table.

    A row has the metric and its sd over seeds for each level and, if `costs`, the method's costs.
    """
    levels = list(dict.fromkeys(block["level"]))
    head = ["method", *(title for level in levels for title in (level, "sd of seeds"))]
    lacking = lacks_sections(block)
    if costs:
        count = "clusters" if block["metric"].iloc[0] == "ami" else "labels given"
        head += ["coverage", *(["sections"] if lacking else []), count, "s per run", "peak MB", "package"]
    rows = [head]
    for name, of_method in block.groupby("name", sort=False):
        by_level = of_method.set_index("level")
        row = [str(name)]
        for level in levels:
            if level in by_level.index:
                row += [format_score(by_level.loc[level]), _format(by_level.loc[level, "sd_seeds"], ".3f")]
            else:
                row += ["–", "–"]
        rows.append(row + (_list_costs(of_method, lacking=lacking) if costs else []))
    return rows


def _list_costs(of_method: pd.DataFrame, *, lacking: bool) -> list[str]:
    """Return the table cells with a method's costs.

    If `lacking`, they include the number of sections on which it has scores.
    """
    return [
        _format(of_method["coverage"].min(), ".1%"),
        *([count_sections(of_method)] if lacking else []),
        " / ".join(_format(n_clusters, ".3g") for n_clusters in of_method["n_clusters"]),
        _format(of_method["seconds"].mean(), ".3g"),
        _format(of_method["peak_mb"].max(), ".0f"),
        of_method["version"].iloc[0],
    ]


def _format(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)


def _join_distinct(texts: pd.Series) -> str:
    return ", ".join(dict.fromkeys(texts))
