"""What Tables 1, 2 and A.2 share: scores of labels, summarised and laid out as methods by levels."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gest.paper.reported import RUN, beside
from gest.paper.scores.labels import ALL, SHARED
from gest.paper.scores.table import spread, summarise
from gest.paper.tables.markdown import aligned, cell

COLUMNS = (
    *("dataset", "cells", "level", "name", "method", "variant", "metric", "mean", "sd", "sd_over", "n", "sd_seeds"),
    *("n_seeds", "seeds", "n_cells", "n_sections", "sections", "coverage", "n_clusters", "seconds", "peak_mb"),
    *("version", "paper", "paper_sd", "status", "note"),
)
KEYS = ["dataset", "method", "variant", "level"]
COSTS = ["coverage", "n_clusters", "seconds", "peak_mb"]
BRACKETS = "In brackets the paper's value."
COST = (
    "Packaged methods run on one thread of a CPU, GeST on as many as its job was given, or on a GPU: seconds do not "
    "tell which method takes less work."
)


def niche_table(
    scores: pd.DataFrame,
    values: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    metric: str,
    names: Mapping[tuple[str, str], str],
) -> pd.DataFrame:
    """Summarise the scores of labels.

    Parameters
    ----------
    scores
        Of one run and task, as `gest.paper.scores.labels.score_labellings` returns them.
    values
        Rows of `gest.paper.reported.read_paper_values`, their variants named as ours are.
    runs
        As `gest.paper.scores.runs.read_runs` returns them; versions are read.
    metric
        Of the task.
    names
        Method and variant to name; they choose the rows, and their order is that of the table.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, by dataset, cells ("all" that a method covers, or those "shared" by all methods), level and name.
        `sd` is over the `n` units that `sd_over` names; coverage, clusters found, seconds and MB are means. A method
        has scores on `n_sections` of the `sections` that have labels; where cells are shared, those sections are left
        out on which a method has none, and so is a method that has none on any.
    """
    scores = scores[pd.MultiIndex.from_frame(scores[["method", "variant"]]).isin(list(names))]
    costs = summarise(scores[scores["metric"].isin(COSTS)]).pivot(index=KEYS, columns="metric", values="mean")  # noqa: PD010
    labelled = scores[(scores["metric"] == "coverage") & scores["value"].notna()]
    sections = labelled.groupby(["dataset", "level"])["section"].nunique().rename("sections")
    versions = runs[runs["version"] != ""].groupby(["method", "variant"])["version"]
    tables, of_metric = [], scores[scores["metric"] == metric]
    for cells, chosen in (("all", of_metric[of_metric["crop"] == ALL]), ("shared", _shared(of_metric))):
        summary = summarise(chosen)
        # The paper does not say that it left out cells: its values stand beside those of all.
        summary = beside(summary, values) if cells == "all" else summary
        tables += [spread(block)[0].assign(cells=cells) for _, block in summary.groupby("dataset")]
    table = pd.concat(tables).merge(costs.reset_index(), on=KEYS, how="left")
    table = table.merge(sections.reset_index(), on=["dataset", "level"], how="left")
    table = table.merge(versions.agg(_distinct).reset_index(), on=["method", "variant"], how="left")
    pairs = list(zip(table["method"], table["variant"], strict=True))
    table = table.assign(name=[names[pair] for pair in pairs], place=[list(names).index(pair) for pair in pairs])
    table = table.fillna({"note": "", "version": "", "sections": 0}).astype({"sections": int})
    for key in ("dataset", "level"):  # in the order in which they were given
        table[key] = pd.Categorical(table[key], categories=scores[key].unique(), ordered=True)
    table = table.sort_values(["dataset", "cells", "level", "place"]).astype({"dataset": str, "level": str})
    return table.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def niche_markdown(table: pd.DataFrame, *, title: str, run: str, notes: Sequence[str]) -> str:
    """Lay out methods by levels: per dataset one table and, where a method left out cells, one of the shared cells.

    Parameters
    ----------
    table
        As `niche_table` returns it.
    title
        Of the table.
    run
        Name of the run; of any but the paper's the title says that nothing is compared.
    notes
        Sentences to stand below.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too.
    """
    blocks = [title + ("." if run == RUN else f"; run {run}, not the paper's data.")]
    for dataset, block in table.groupby("dataset", sort=False):
        everywhere, shared = (block[block["cells"] == cells] for cells in ("all", "shared"))
        lines = [*aligned(_rows(everywhere, costs=True)), *failures(everywhere)]
        blocks += [f"{dataset}: {spread_note(everywhere)}", "\n".join(lines)]
        if (everywhere["coverage"] < 1).any():
            blocks += _shared_blocks(str(dataset), shared)
    return "\n\n".join([*blocks, *reported(table), *notes]) + "\n"


def _shared(scores: pd.DataFrame) -> pd.DataFrame:
    """Choose the scores of shared cells, on the sections where no method failed but those that failed on all."""
    shared = scores[scores["crop"] == SHARED]
    scored = shared[shared["status"] == "ok"].assign(pair=shared["method"] + "/" + shared["variant"])
    by_level = scored.groupby(["dataset", "level"])["pair"].transform("nunique")
    everyone = scored.groupby(["dataset", "level", "section"])["pair"].transform("nunique") == by_level
    places = pd.MultiIndex.from_frame(scored.loc[everyone, ["dataset", "level", "section"]])
    return shared[pd.MultiIndex.from_frame(shared[["dataset", "level", "section"]]).isin(places)]


def _shared_blocks(dataset: str, shared: pd.DataFrame) -> list[str]:
    if shared.empty:
        return [f"{dataset}: no section was scored by every method, so that nothing is compared on the same cells."]
    n_cells = shared.groupby("level", sort=False)["n_cells"].max()
    cells = ", ".join(f"{n:,} by {level}" for level, n in n_cells.items())
    return [
        f"{dataset}, on the sections and cells that every method scored ({cells}): a section on which a method failed "
        "is left out, and so is a method that failed on all. A method that covers less than 100% failed, or was given "
        "a part of the cells, drawn at random, as many as the limit that the config sets it. Here "
        f"{spread_note(shared)}",
        "\n".join(aligned(_rows(shared, costs=False))),
    ]


def scored_sections(own: pd.DataFrame) -> str:
    """Return of how many of the labelled sections there are scores, n/N, for each row of a method."""
    return ", ".join(f"{row.n_sections}/{row.sections}" for row in own.itertuples())


def lacks_sections(block: pd.DataFrame) -> bool:
    """Return whether a method has no scores on some section that has labels."""
    return bool((block["n_sections"] < block["sections"]).any())


def spread_note(block: pd.DataFrame) -> str:
    """Say what ± is over in one dataset, and which seeds there were."""
    over, n = block["sd_over"].iloc[0], sorted({block["n"].min(), block["n"].max()})
    sd = f"± is the sd over {'–'.join(map(str, n))} {over}" if over else "one section and seed"
    return f"{sd}; seeds (model:run) up to {max(block['seeds'], key=len)}."


def reported(table: pd.DataFrame) -> list[str]:
    """Say what brackets hold, where there are any, and where the paper contradicts itself."""
    if not table["paper"].notna().any():
        return []
    said = table[table["paper"].notna() & (table["note"] != "")]
    return [BRACKETS, *(f"{row['name']}, {row.level}: {row.note}" for _, row in said.iterrows())]


def failures(block: pd.DataFrame) -> list[str]:
    """Say which methods failed, by name, and why."""
    failed = block[block["status"] != "ok"].drop_duplicates(["name", "status"])
    return [f"\n{row['name']}, {row.level}: {row.status}" for _, row in failed.iterrows()]


def unit_notes(microns: Mapping[str, float | None]) -> list[str]:
    """Say what one unit of a dataset's coordinates was declared to be, µm, where it was."""
    return [
        f"{name}: one unit of the coordinates is declared to be {unit:g} µm." for name, unit in microns.items() if unit
    ]


def _rows(block: pd.DataFrame, *, costs: bool) -> list[list[str]]:
    """Cells of the table of one dataset: per level the metric and its sd over seeds, then what a method costs."""
    levels = list(dict.fromkeys(block["level"]))
    head = ["method", *(title for level in levels for title in (level, "sd of seeds"))]
    lacks = ["sections"] if costs and lacks_sections(block) else []
    found = "clusters" if block["metric"].iloc[0] == "ami" else "labels given"
    rows = [[*head, *(["coverage", *lacks, found, "s per run", "peak MB", "package"] if costs else [])]]
    for name, own in block.groupby("name", sort=False):
        at = own.set_index("level")
        row = [str(name)]
        for level in levels:
            row += [cell(at.loc[level]), _number(at.loc[level, "sd_seeds"], ".3f")] if level in at.index else ["–", "–"]
        if costs:
            clusters = " / ".join(_number(own_number, ".3g") for own_number in own["n_clusters"])
            seconds, peak = _number(own["seconds"].mean(), ".3g"), _number(own["peak_mb"].max(), ".0f")
            scored = [scored_sections(own)] if lacks else []
            row += [_number(own["coverage"].min(), ".1%"), *scored, clusters, seconds, peak, own["version"].iloc[0]]
        rows.append(row)
    return rows


def _number(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)


def _distinct(texts: pd.Series) -> str:
    return ", ".join(dict.fromkeys(texts))
