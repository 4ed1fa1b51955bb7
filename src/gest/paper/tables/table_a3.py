"""Table A.3: what the model calls each gene around an infarct, beside the truth and what the paper predicted."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gest.paper.ischemia.experiment import SHUFFLED
from gest.paper.ischemia.score import vote
from gest.paper.reported import RUN
from gest.paper.tables.markdown import aligned
from gest.tasks.perturbation.differential import HIGH, LOW, NOT_SIGNIFICANT

BASELINES = {
    "ica_degs": "copy of the core's DEGs",
    "random_sign": "random sign",
    "majority": "commoner type for every gene",
    SHUFFLED: "other genes changed",
    "shuffled_calls": "calls dealt out to other genes",
}
SETS = {"all": "all genes", "in_file": "in the ischaemia data", "in_panel": "in the panel", "unchanged": "not changed"}


def table_a3(calls: pd.DataFrame, core: pd.DataFrame, degs: pd.DataFrame) -> pd.DataFrame:
    """Lay the final calls beside the truth, gene by gene.

    Parameters
    ----------
    calls
        Replicates of the experiment, see `gest.paper.ischemia.score.vote`.
    core
        As `gest.paper.ischemia.reference.core_degs` returns it.
    degs
        As `gest.paper.ischemia.reference.read_degs` returns it.

    Returns
    -------
    pandas.DataFrame
        Per gene in the order of `degs`: `gene`, `truth`, `paper_prediction` (empty where it is not known),
        `prediction`, `correct`, `support`, `log2_fold_change`, `changed` (in the region), `core` (its call there),
        `in_panel`, `in_file`, `note`.
    """
    voted = vote(calls).reindex(degs["gene"])
    of_core = core.set_index("gene")["call"].reindex(degs["gene"])
    prediction = voted["call"].fillna(NOT_SIGNIFICANT).to_numpy()
    return pd.DataFrame(
        {
            **{column: degs[column].to_numpy() for column in ("gene", "truth", "paper_prediction")},
            "prediction": prediction,
            "correct": prediction == degs["truth"].to_numpy(),
            **{column: voted[column].to_numpy() for column in ("support", "log2_fold_change", "changed")},
            "core": of_core.fillna("").to_numpy(),
            "in_panel": voted["call"].notna().to_numpy(),
            "in_file": of_core.notna().to_numpy(),
            "note": degs["note"].to_numpy(),
        }
    ).fillna({"changed": ""})


def table_a3_markdown(table: pd.DataFrame, scores: pd.DataFrame, values: pd.DataFrame, *, main: str, run: str) -> str:
    """Lay Table A.3 out: accuracies beside the paper's, what they depend on, controls, then gene by gene.

    Parameters
    ----------
    table
        As `table_a3` returns it.
    scores
        As `gest.paper.ischemia.score.score_calls` returns them.
    values
        What the paper reports (`gest.paper.reported.read_paper_values`).
    main
        The variant that is the experiment.
    run
        Name of the run; of any but the paper's the title says that nothing is compared.
    """
    n = {name: int((table["truth"] == name).sum()) for name in (HIGH, LOW, NOT_SIGNIFICANT)}
    title = f"Table A.3: {len(table)} genes around the infarct, {n[HIGH]} High and {n[LOW]} Low" + (
        f", {n[NOT_SIGNIFICANT]} that do not change" if n[NOT_SIGNIFICANT] else ""
    )
    if run != RUN:
        title += f"; run {run}, not the paper's data"
    covered = (
        f"The ischaemia data cover {table['in_file'].sum()} of them, the model's panel {table['in_panel'].sum()}; "
        f"{(table['changed'] != '').sum()} were changed in the region themselves."
    )
    notes = [
        "A call is what more than half of the replicates (placements of the region, seeds) agree on. In brackets 95 %: "
        "of GeST the interval of a replicate's accuracy over placements, of random signs and dealt calls the range by "
        "chance, of other genes changed the range of the repeats.",
        *_shares(table),
    ]
    blocks = [title, covered, "\n".join(_accuracies(scores, values, main, run)), *notes]
    return "\n\n".join([*blocks, "\n".join(_variants(scores)), *_controls(scores), "\n".join(_genes(table))]) + "\n"


def _accuracies(scores: pd.DataFrame, values: pd.DataFrame, main: str, run: str) -> list[str]:
    """Lay out methods by sets of genes; the paper's numbers are of all 87."""
    reported = values[(values["item"] == "table_a3") & (values["metric"] == "correct_percent")]
    paper = reported.set_index("method")["value"] if run == RUN else pd.Series(dtype=float)
    shown = scores[(scores["crop"] == "") & (scores["level"] == "all")]
    rows = [["percent of the High and Low called rightly", *SETS.values(), "paper"]]
    for method, name in {"gest": "GeST", **BASELINES}.items():
        own = shown[(shown["method"] == method) & shown["seed"].isna()]
        own = own[own["variant"] == main] if method == "gest" else own
        numbers = own.pivot(index="gene_set", columns="metric", values="value")  # noqa: PD010
        if numbers.empty:
            continue
        cells = [_percent(numbers.loc[gene_set]) if gene_set in numbers.index else "–" for gene_set in SETS]
        rows.append([name, *cells, f"{paper[method]:.2f}" if method in paper.index else ""])
    return aligned(rows)


def _percent(row: pd.Series) -> str:
    if pd.isna(row["accuracy"]):
        return "–"
    text = f"{100 * row['accuracy']:.1f}"
    if pd.isna(row.get("accuracy_low", np.nan)):
        return text
    return f"{text} [{100 * row['accuracy_low']:.1f}, {100 * row['accuracy_high']:.1f}]"


def _shares(table: pd.DataFrame) -> list[str]:
    """Say how many calls are wrong where the truth knows genes that do not change."""
    still = table["truth"] == NOT_SIGNIFICANT
    if not still.any():
        return []
    called = table["prediction"] != NOT_SIGNIFICANT
    wrong = int((called & ~table["correct"]).sum())
    return [
        f"False-discovery rate: {wrong} of {called.sum()} calls are wrong, {(called & still).sum()} of them of the "
        f"{still.sum()} genes that do not change. Sensitivity is the percentage correct."
    ]


def _variants(scores: pd.DataFrame) -> list[str]:
    """Lay out what a replicate's accuracy and its region depend on, means over replicates."""
    names = {
        "accuracy": "correct, %",
        "metacells_changed": "meta cells changed, %",
        "activated_fell": "activated genes that fell, %",
        "pearson_control": "r control",
        "pearson_perturbed": "r perturbed",
    }
    own = scores[scores["method"].isin(["gest", SHUFFLED]) & (scores["crop"] != "") & scores["metric"].isin(names)]
    own = own.assign(variant=own["variant"].where(own["method"] == "gest", BASELINES[SHUFFLED]))
    own = own[own["level"].isin(["", "all"]) & own["gene_set"].isin(["", "all"])]
    means = own.groupby(["variant", "metric"], sort=False)["value"].mean().unstack()  # noqa: PD010
    n = own[own["metric"] == "accuracy"].groupby("variant").size()
    rows = [["context / σ in radii", "replicates", *names.values()]]
    for variant, row in means.reindex(columns=list(names)).iterrows():
        share = [f"{100 * row[name]:.1f}" for name in list(names)[:3]]
        rows.append([variant, str(n[variant]), *share, *(f"{row[name]:.3f}" for name in list(names)[3:])])
    return aligned(rows)


def _controls(scores: pd.DataFrame) -> list[str]:
    """Say what became of the controls whose difference must be zero."""
    lines = []
    for method, what in (("nothing_changed", "No gene changed"), ("distant", "A region beyond any window changed")):
        own = scores[scores["method"] == method]
        failed = own[own["status"] != "ok"]
        if len(failed):
            lines.append(f"{what}: {failed['status'].iloc[0]}.")
        elif len(own):
            most = own.groupby("metric")["value"].max()
            lines.append(f"{what}: largest difference {most['max_difference']:g}, {most['n_called']:.0f} genes called.")
    return lines


def _genes(table: pd.DataFrame) -> list[str]:
    head = ("gene", "truth", "paper", "GeST", "correct", "support", "log2 fold change", "in the region", "core", "note")
    rows: list[Sequence[str]] = [head]
    for row in table.itertuples():
        missing = [] if row.in_panel else ["not in the panel"]
        missing += [] if row.in_file else ["not in the ischaemia data"]
        numbers = [f"{row.support:.2f}", f"{row.log2_fold_change:+.3f}"] if row.in_panel else ["–", "–"]
        mark = "yes" if row.correct else "no"
        note = "; ".join([*missing, *filter(None, [row.note])])
        calls = row.truth, row.paper_prediction, row.prediction
        rows.append([row.gene, *calls, mark, *numbers, row.changed, row.core, note])
    return aligned(rows)
