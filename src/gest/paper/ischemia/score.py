"""Score a model's calls around an infarct against the truth, together with baselines and controls."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import binom

from gest.paper.ischemia.calls import METRICS, measure_agreement, shuffled_accuracy, split_truth, vote
from gest.paper.ischemia.experiment import SHUFFLED
from gest.paper.scores.intervals import COVERAGE, half_width
from gest.paper.scores.table import COLUMNS
from gest.tasks.perturbation.differential import HIGH, LOW, NOT_SIGNIFICANT

REPLICATE_METRICS = (
    *("metacells_changed", "activated_fell", "pearson_control", "pearson_perturbed", "max_difference", "n_called"),
)
_KEY = ["variant", "model_seed", "placement", "seed"]
_TAILS = (1 - COVERAGE) / 2, (1 + COVERAGE) / 2

Rows = list[dict[str, object]]


def score_calls(
    calls: pd.DataFrame,
    replicates: pd.DataFrame,
    core: pd.DataFrame,
    degs: pd.DataFrame,
    *,
    main: str,
    fields: Mapping[str, str],
    seed: int = 0,
) -> pd.DataFrame:
    """Score every replicate, the vote of the replicates, baselines and controls.

    The rows of each `method`:

    - gest: every replicate of every variant, with its placement as `crop`. For the variant `main` also the vote, with
      an empty `crop`, and the 95 % interval of accuracy over the means of placements (Student's t), as `accuracy_low`
      and `accuracy_high`.
    - ica_degs: the changes of genes in the core, used as calls.
    - majority: the more frequent of High and Low in the truth, used for every gene.
    - random_sign: High or Low at even odds; the expected accuracy and its 95 % interval (binomial).
    - shuffled_names: equally many random genes changed in the region; every repeat, numbered by `seed`, and the mean of
      the repeats with their 95 % range.
    - shuffled_calls: the calls of the vote, shuffled among the genes a thousand times; mean accuracy and 95 % range.
    - nothing_changed, distant: the controls whose difference must be zero.

    Genes that do not change in the truth affect the false-discovery rate only.

    Parameters
    ----------
    calls, replicates
        Those of `gest.paper.ischemia.experiment.Ischemia`, of all models concatenated, with a column `model_seed`.
    core
        As `gest.paper.ischemia.reference.find_core_degs` returns it.
    degs
        The truth, as `gest.paper.ischemia.reference.read_degs` returns it.
    main
        Name of the variant that is the experiment itself.
    fields
        Run, dataset and section, for every row.
    seed
        Seed of shuffled_calls.

    Returns
    -------
    pandas.DataFrame
        `gest.paper.scores.table.COLUMNS`; `n` is the number of High and Low genes of the truth or, for metrics without
        truth, of cells around the region.
    """
    voted = vote(calls[calls["variant"] == main])
    sets = split_truth(degs, core["gene"], voted.reset_index())
    rows = _score_replicates(calls, core, degs)
    rows += _score_methods(voted, sets, core, main=main)
    accuracies = _select_accuracies(pd.DataFrame(rows))
    for gene_set, truth in sets.items():
        changing = truth[truth != NOT_SIGNIFICANT]
        if len(changing):
            of_set = accuracies[accuracies["gene_set"] == gene_set]
            rows += _score_chance(gene_set, changing, voted["call"], seed=seed)
            rows += _score_spread(gene_set, len(changing), of_set, main=main)
    for replicate in replicates.to_dict("records"):
        rows += _describe_replicate(replicate)
    scores = pd.DataFrame(rows).assign(task="perturbation", **fields).reindex(columns=list(COLUMNS))
    empty = scores["status"].isna() & scores["value"].isna()
    scores["status"] = scores["status"].fillna("ok").mask(empty, "there is nothing to score")
    return scores.fillna({"crop": "", "level": "", "gene_set": ""})


def _score_replicates(calls: pd.DataFrame, core: pd.DataFrame, degs: pd.DataFrame) -> Rows:
    """Score each replicate of each variant, and each repeat of shuffled names."""
    rows = []
    for key, replicate in calls.groupby(_KEY, sort=False):
        fields = dict(zip(_KEY, key, strict=True))
        shuffled = fields["variant"] == SHUFFLED
        columns = {
            "method": SHUFFLED if shuffled else "gest",
            "variant": "default" if shuffled else fields["variant"],
            "crop": str(fields["placement"]),
            "model_seed": fields["model_seed"],
            "seed": fields["seed"],
        }
        sets = split_truth(degs, core["gene"], replicate)
        rows += _score_sets(sets, replicate.set_index("gene")["call"], **columns)
    return rows


def _score_methods(voted: pd.DataFrame, sets: Mapping[str, pd.Series], core: pd.DataFrame, *, main: str) -> Rows:
    """Score the vote, the core's calls, and the more frequent call of the truth."""
    changing = sets["all"][sets["all"] != NOT_SIGNIFICANT]
    majority = pd.Series(changing.mode().iloc[0], index=sets["all"].index)
    return [
        *_score_sets(sets, voted["call"], method="gest", variant=main),
        *_score_sets(sets, core.set_index("gene")["call"], method="ica_degs", variant="default"),
        *_score_sets(sets, majority, method="majority", variant="default"),
    ]


def _score_sets(sets: Mapping[str, pd.Series], calls: pd.Series, **columns: object) -> Rows:
    """Score calls on each set of genes, and on its High and its Low genes alone."""
    rows = []
    for gene_set, truth in sets.items():
        for level in ("all", HIGH, LOW):
            part = truth if level == "all" else truth[truth == level]
            values = measure_agreement(calls, part)
            names = METRICS if level == "all" else ("accuracy",)  # the false-discovery rate needs both types
            n = int((part != NOT_SIGNIFICANT).sum())
            fields = {"gene_set": gene_set, "level": level.lower(), "n": n, **columns}
            rows += [fields | {"metric": name, "value": values[name]} for name in names]
    return rows


def _select_accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["level"] == "all") & (rows["metric"] == "accuracy")]


def _score_chance(gene_set: str, truth: pd.Series, calls: pd.Series, *, seed: int) -> Rows:
    """Return accuracy and 95 % interval of random signs and of shuffled calls."""
    n = len(truth)
    shuffled = shuffled_accuracy(calls, truth, seed=seed)
    fields = {"variant": "default", "gene_set": gene_set, "level": "all", "n": n}
    random_sign, shuffled_calls = fields | {"method": "random_sign"}, fields | {"method": "shuffled_calls"}
    return [
        random_sign | {"metric": "accuracy", "value": 0.5},
        *_bound(random_sign, *binom.ppf(_TAILS, n, 0.5) / n),
        shuffled_calls | {"metric": "accuracy", "value": shuffled.mean()},
        *_bound(shuffled_calls, *np.quantile(shuffled, _TAILS)),
    ]


def _score_spread(gene_set: str, n: int, accuracies: pd.DataFrame, *, main: str) -> Rows:
    """Return mean and 95 % range of shuffled names, and the experiment's interval.

    The range is over repeats, the interval over placements.
    """
    rows = []
    fields = {"gene_set": gene_set, "level": "all", "n": n}
    shuffled = accuracies.loc[accuracies["method"] == SHUFFLED, "value"].dropna()
    if len(shuffled):
        shuffled_names = fields | {"method": SHUFFLED, "variant": "default"}
        rows.append(shuffled_names | {"metric": "accuracy", "value": shuffled.mean()})
        rows += _bound(shuffled_names, *np.quantile(shuffled, _TAILS))
    experiment = accuracies[(accuracies["method"] == "gest") & (accuracies["variant"] == main)]
    means = experiment[experiment["crop"].notna()].groupby("crop")["value"].mean()
    if len(means) > 1:
        half = half_width(means.std(), len(means))
        rows += _bound(fields | {"method": "gest", "variant": main}, means.mean() - half, means.mean() + half)
    return rows


def _bound(fields: Mapping[str, object], low: float, high: float) -> Rows:
    """Return the two rows of an interval of accuracy."""
    return [fields | {"metric": "accuracy_low", "value": low}, fields | {"metric": "accuracy_high", "value": high}]


def _describe_replicate(replicate: Mapping[str, object]) -> Rows:
    """Return the metrics of a replicate or control that need no truth.

    If a control could not be run, its only row is `max_difference`, NaN.
    """
    is_control = "/" not in replicate["variant"]  # variants of the experiment are named "context/σ"
    fields = {
        "method": replicate["variant"] if is_control else "gest",
        "variant": "default" if is_control else replicate["variant"],
        "crop": str(replicate["placement"]),
        "n": replicate["n_surroundings"],
        **{name: replicate[name] for name in ("model_seed", "seed", "status")},
    }
    if replicate["status"] != "ok":
        return [fields | {"metric": "max_difference", "value": np.nan}]
    metrics = {name: replicate[name] for name in REPLICATE_METRICS if not pd.isna(replicate[name])}
    return [fields | {"metric": name, "value": value} for name, value in metrics.items()]
