"""Table A.3: the model's call of each gene around an infarct, with the truth and the paper's prediction."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gest.paper.ischemia.calls import vote
from gest.paper.ischemia.experiment import SHUFFLED
from gest.paper.reported import RUN, name_run
from gest.paper.tables.markdown import lay_out
from gest.tasks.perturbation.differential import HIGH, LOW, NOT_SIGNIFICANT

BASELINES = {
    "ica_degs": "copy of the core's DEGs",
    "random_sign": "random sign",
    "majority": "commoner type for every gene",
    SHUFFLED: "other genes changed",
    "shuffled_calls": "calls shuffled among genes",
}
SETS = {"all": "all genes", "in_file": "in the ischemia data", "in_panel": "in the panel", "unchanged": "not changed"}
_SHARES = {
    "accuracy": "correct, %",
    "metacells_changed": "meta cells changed, %",
    "activated_fell": "activated genes that fell, %",
}
_CORRELATIONS = {"pearson_control": "r control", "pearson_perturbed": "r perturbed"}


def table_a3(calls: pd.DataFrame, core: pd.DataFrame, degs: pd.DataFrame) -> pd.DataFrame:
    """Compare the final calls with the truth, gene by gene.

    Parameters
    ----------
    calls
        Calls of the replicates, see `gest.paper.ischemia.calls.vote`.
    core
        As `gest.paper.ischemia.reference.find_core_degs` returns it.
    degs
        As `gest.paper.ischemia.reference.read_degs` returns it.

    Returns
    -------
    pandas.DataFrame
        A row per gene, in the order of `degs`: `gene`, `truth`, `paper_prediction` (empty if unknown), `prediction`,
        `correct`, `support`, `log2_fold_change`, `changed` (how the experiment changed it in the region), `core` (its
        call in the infarct's core), `in_panel` (the model's), `in_file` (the ischemia data), `note`.
    """
    voted = vote(calls).reindex(degs["gene"])
    core_calls = core.set_index("gene")["call"].reindex(degs["gene"])
    prediction = voted["call"].fillna(NOT_SIGNIFICANT).to_numpy()
    return pd.DataFrame(
        {
            **{column: degs[column].to_numpy() for column in ("gene", "truth", "paper_prediction")},
            "prediction": prediction,
            "correct": prediction == degs["truth"].to_numpy(),
            **{column: voted[column].to_numpy() for column in ("support", "log2_fold_change", "changed")},
            "core": core_calls.fillna("").to_numpy(),
            "in_panel": voted["call"].notna().to_numpy(),
            "in_file": core_calls.notna().to_numpy(),
            "note": degs["note"].to_numpy(),
        }
    ).fillna({"changed": ""})


def table_a3_markdown(table: pd.DataFrame, scores: pd.DataFrame, values: pd.DataFrame, *, main: str, run: str) -> str:
    """Lay out Table A.3.

    Accuracies and the paper's come first, then the variants of the experiment, the controls, and every gene.

    Parameters
    ----------
    table
        As `table_a3` returns it.
    scores
        As `gest.paper.ischemia.score.score_calls` returns them.
    values
        The paper's numbers, as `gest.paper.reported.read_paper_values` returns them.
    main
        Name of the variant that is the experiment itself.
    run
        Name of the run; if it is not the paper's, the title says that nothing is compared.
    """
    n = {call: int((table["truth"] == call).sum()) for call in (HIGH, LOW, NOT_SIGNIFICANT)}
    unchanged = f", {n[NOT_SIGNIFICANT]} that do not change" if n[NOT_SIGNIFICANT] else ""
    title = f"Table A.3: {len(table)} genes around the infarct, {n[HIGH]} High and {n[LOW]} Low{unchanged}"
    coverage = (
        f"The ischemia data cover {table['in_file'].sum()} of them, the model's panel {table['in_panel'].sum()}; "
        f"{(table['changed'] != '').sum()} were changed in the region themselves."
    )
    calls = (
        "A call needs the agreement of more than half of the replicates (placements of the region, seeds). In brackets "
        "95 %: for GeST the interval of a replicate's accuracy over placements, for random signs and shuffled calls "
        "the range by chance, for other genes changed the range of the repeats."
    )
    blocks = [
        title + name_run(run),
        coverage,
        lay_out(_list_accuracies(scores, values, main=main, run=run)),
        calls,
        *_count_false_discoveries(table),
        lay_out(_list_variants(scores)),
        *_describe_controls(scores),
        lay_out(_list_genes(table)),
    ]
    return "\n\n".join(blocks) + "\n"


def _list_accuracies(scores: pd.DataFrame, values: pd.DataFrame, *, main: str, run: str) -> list[list[str]]:
    """Return accuracies by method and set of genes; the paper's are of all genes."""
    reported = values[(values["item"] == "table_a3") & (values["metric"] == "correct_percent")]
    paper = reported.set_index("method")["value"] if run == RUN else pd.Series(dtype=float)
    shown = scores[(scores["crop"] == "") & (scores["level"] == "all")]
    rows = [["percent of the High and Low called correctly", *SETS.values(), "paper"]]
    for method, name in {"gest": "GeST", **BASELINES}.items():
        of_method = shown[(shown["method"] == method) & shown["seed"].isna()]
        of_method = of_method[of_method["variant"] == main] if method == "gest" else of_method
        numbers = of_method.pivot(index="gene_set", columns="metric", values="value")  # noqa: PD010
        if numbers.empty:
            continue
        cells = [_format_percent(numbers.loc[genes]) if genes in numbers.index else "–" for genes in SETS]
        rows.append([name, *cells, f"{paper[method]:.2f}" if method in paper.index else ""])
    return rows


def _format_percent(row: pd.Series) -> str:
    if pd.isna(row["accuracy"]):
        return "–"
    percent = f"{100 * row['accuracy']:.1f}"
    if pd.isna(row.get("accuracy_low", np.nan)):
        return percent
    return f"{percent} [{100 * row['accuracy_low']:.1f}, {100 * row['accuracy_high']:.1f}]"


def _count_false_discoveries(table: pd.DataFrame) -> list[str]:
    """Return a note on wrong calls, if the truth has genes that do not change."""
    unchanged = table["truth"] == NOT_SIGNIFICANT
    if not unchanged.any():
        return []
    called = table["prediction"] != NOT_SIGNIFICANT
    wrong = int((called & ~table["correct"]).sum())
    return [
        f"False-discovery rate: {wrong} of {called.sum()} calls are wrong, {(called & unchanged).sum()} of them of the "
        f"{unchanged.sum()} genes that do not change. Sensitivity is the percentage correct."
    ]


def _list_variants(scores: pd.DataFrame) -> list[list[str]]:
    """Return a row per variant: means over replicates of accuracy and response."""
    names = _SHARES | _CORRELATIONS
    rows = scores[scores["method"].isin(["gest", SHUFFLED]) & (scores["crop"] != "") & scores["metric"].isin(names)]
    rows = rows.assign(variant=rows["variant"].where(rows["method"] == "gest", BASELINES[SHUFFLED]))
    rows = rows[rows["level"].isin(["", "all"]) & rows["gene_set"].isin(["", "all"])]
    means = rows.groupby(["variant", "metric"], sort=False)["value"].mean().unstack()  # noqa: PD010
    n = rows[rows["metric"] == "accuracy"].groupby("variant").size()
    table = [["context / σ in radii", "replicates", *names.values()]]
    for variant, row in means.reindex(columns=list(names)).iterrows():
        shares = [f"{100 * row[name]:.1f}" for name in _SHARES]
        correlations = [f"{row[name]:.3f}" for name in _CORRELATIONS]
        table.append([variant, str(n[variant]), *shares, *correlations])
    return table


def _describe_controls(scores: pd.DataFrame) -> list[str]:
    """Return a note on each control whose difference must be zero."""
    notes = []
    for method, name in (("nothing_changed", "No gene changed"), ("distant", "A region beyond any window changed")):
        rows = scores[scores["method"] == method]
        failed = rows[rows["status"] != "ok"]
        if len(failed):
            notes.append(f"{name}: {failed['status'].iloc[0]}.")
        elif len(rows):
            most = rows.groupby("metric")["value"].max()
            notes.append(f"{name}: largest difference {most['max_difference']:g}, {most['n_called']:.0f} genes called.")
    return notes


def _list_genes(table: pd.DataFrame) -> list[Sequence[str]]:
    """Return a row per gene."""
    head = ("gene", "truth", "paper", "GeST", "correct", "support", "log2 fold change", "in the region", "core", "note")
    rows: list[Sequence[str]] = [head]
    for row in table.itertuples():
        notes = [] if row.in_panel else ["not in the panel"]
        notes += [] if row.in_file else ["not in the ischemia data"]
        notes += [row.note] if row.note else []
        numbers = [f"{row.support:.2f}", f"{row.log2_fold_change:+.3f}"] if row.in_panel else ["–", "–"]
        calls = row.truth, row.paper_prediction, row.prediction, "yes" if row.correct else "no"
        rows.append([row.gene, *calls, *numbers, row.changed, row.core, "; ".join(notes)])
    return rows
