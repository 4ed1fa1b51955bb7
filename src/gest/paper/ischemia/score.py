"""How well a model's calls around an infarct agree with what is known there, beside baselines and controls."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binom, t

from gest.paper.ischemia.experiment import SHUFFLED
from gest.paper.scores.table import COLUMNS
from gest.tasks.perturbation.differential import HIGH, LOW, NOT_SIGNIFICANT

METRICS = ("accuracy", "false_discovery_rate")
REPLICATE_METRICS = (
    *("metacells_changed", "activated_fell", "pearson_control", "pearson_perturbed", "max_difference", "n_called"),
)
_KEY = ["variant", "model_seed", "placement", "seed"]
_COVERAGE = 0.95


def vote(calls: pd.DataFrame) -> pd.DataFrame:
    """Settle on one call per gene: the one that more than half of the replicates agree on, else not significant.

    Replicates are placements of the region and seeds, of generation and of the model. Cells of one replicate are no
    independent replicates, so that they are not pooled in one test.

    Parameters
    ----------
    calls
        Of one variant, as `gest.paper.ischemia.experiment.Ischemia.calls`.

    Returns
    -------
    Indexed by gene: `call`; `support`, the share of replicates with just this call; `log2_fold_change`, their mean;
    `changed` in the region.
    """
    shares = pd.crosstab(calls["gene"], calls["call"], normalize="index").reindex(
        columns=[HIGH, LOW, NOT_SIGNIFICANT], fill_value=0.0
    )
    call = np.select([shares[HIGH] > 0.5, shares[LOW] > 0.5], [HIGH, LOW], NOT_SIGNIFICANT)
    table = pd.DataFrame({"call": call}, index=shares.index)
    table["support"] = [shares.loc[gene, call] for gene, call in table["call"].items()]
    genes = calls.groupby("gene")
    return table.assign(log2_fold_change=genes["log2_fold_change"].mean(), changed=genes["changed"].first())


def gene_sets(degs: pd.DataFrame, covered: Sequence[str], calls: pd.DataFrame) -> dict[str, pd.Series]:
    """Take the truth apart: gene to High, Low or n.s.

    `all` genes; those `in_file`, the ischaemia data's; `in_panel`, the model's; and `unchanged`, those of the panel
    that were not changed in the region, so that nothing but the model speaks of them.

    Parameters
    ----------
    degs
        As `gest.paper.ischemia.reference.read_degs` returns it.
    covered
        Genes of the ischaemia data.
    calls
        Of one replicate.
    """
    truth = degs.set_index("gene")["truth"]
    panel = calls["gene"]
    return {
        "all": truth,
        "in_file": truth[truth.index.isin(covered)],
        "in_panel": truth[truth.index.isin(panel)],
        "unchanged": truth[truth.index.isin(panel[calls["changed"] == ""])],
    }


def metrics(calls: pd.Series, truth: pd.Series) -> dict[str, float]:
    """Compare calls with the truth, gene to High, Low or n.s.; a gene of the truth without a call is not significant.

    Returns
    -------
    `accuracy`, the share of the truth's High and Low genes with the right call, which is the sensitivity too; and
    `false_discovery_rate`, the share of wrong ones among the genes called High or Low. NaN where there is no gene.
    """
    calls = calls.reindex(truth.index).fillna(NOT_SIGNIFICANT)
    right = calls == truth
    shares = right[truth != NOT_SIGNIFICANT], ~right[calls != NOT_SIGNIFICANT]
    return {name: float(each.mean()) if len(each) else np.nan for name, each in zip(METRICS, shares, strict=True)}


def score_calls(
    calls: pd.DataFrame,
    replicates: pd.DataFrame,
    core: pd.DataFrame,
    degs: pd.DataFrame,
    *,
    main: str,
    about: Mapping[str, str],
    seed: int = 0,
) -> pd.DataFrame:
    """Score every replicate, their vote, baselines and controls.

    Rows of method gest: each variant's replicates, with the placement as `crop`; and of the variant `main` the vote,
    with an empty `crop`, and as `accuracy_low` and `accuracy_high` the 95 % interval of a replicate's accuracy, from
    the placements' means (Student's t). Of the others:

    - ica_degs copies what the core's genes do; random_sign calls every gene High or Low at even odds (expected value
      and, from the binomial law, 95 % interval); majority calls every gene what most of the truth's are
      (a gene that the truth says does not change counts in the false-discovery rate alone);
    - shuffled_names: as many genes of other names changed in the region, a row per repeat as `seed`, and their mean
      with a 95 % range; shuffled_calls: the vote's calls dealt out to other genes, a thousand times.

    Parameters
    ----------
    calls, replicates
        As `gest.paper.ischemia.experiment.Ischemia` holds them, those of all models one below the other, with `model_seed`.
    core
        As `gest.paper.ischemia.reference.core_degs` returns it.
    degs
        The truth, as `gest.paper.ischemia.reference.read_degs` returns it.
    main
        The variant that is the experiment.
    about
        Of every row: run, dataset and section.
    seed
        Of shuffled calls.

    Returns
    -------
    pandas.DataFrame
        `gest.paper.scores.table.COLUMNS`; `n` is the number of High and Low genes of the truth, or of cells around the region.
    """
    rows: list[dict] = []

    def add(method: str, sets: Mapping[str, pd.Series], given: pd.Series, **key: object) -> None:
        for gene_set, truth in sets.items():
            for level in ("all", HIGH, LOW):
                part = truth if level == "all" else truth[truth == level]
                values = metrics(given, part)
                wanted = METRICS if level == "all" else METRICS[:1]  # one type alone knows no false discoveries
                n = int((part != NOT_SIGNIFICANT).sum())
                base = {"method": method, "gene_set": gene_set, "level": level.lower(), "n": n, **key}
                rows.extend(base | {"metric": name, "value": values[name]} for name in wanted)

    def span(method: str, gene_set: str, low: float, high: float, n: int, variant: str) -> None:
        base = {"method": method, "variant": variant, "gene_set": gene_set, "level": "all", "n": n}
        rows.extend(base | {"metric": f"accuracy_{end}", "value": at} for end, at in (("low", low), ("high", high)))

    for key, own in calls.groupby(_KEY, sort=False):
        about_it = dict(zip(_KEY, key, strict=True))
        method = SHUFFLED if about_it["variant"] == SHUFFLED else "gest"
        variant = "default" if method == SHUFFLED else about_it["variant"]
        place = {"variant": variant, "crop": str(about_it["placement"])}
        seeds = {name: about_it[name] for name in ("model_seed", "seed")}
        add(method, gene_sets(degs, core["gene"], own), own.set_index("gene")["call"], **place, **seeds)

    principal = calls[calls["variant"] == main]
    voted = vote(principal)
    sets = gene_sets(degs, core["gene"], voted.reset_index())
    add("gest", sets, voted["call"], variant=main)
    add("ica_degs", sets, core.set_index("gene")["call"], variant="default")
    commoner = sets["all"][sets["all"] != NOT_SIGNIFICANT].mode().iloc[0]
    add("majority", sets, pd.Series(commoner, index=sets["all"].index), variant="default")
    tails = (1 - _COVERAGE) / 2, (1 + _COVERAGE) / 2
    table = pd.DataFrame(rows)
    for gene_set, truth in sets.items():
        truth = truth[truth != NOT_SIGNIFICANT]
        if not (n := len(truth)):
            continue
        base = {"variant": "default", "gene_set": gene_set, "level": "all", "n": n, "metric": "accuracy"}
        rows.append(base | {"method": "random_sign", "value": 0.5})
        span("random_sign", gene_set, *binom.ppf(tails, n, 0.5) / n, n, "default")
        dealt = shuffled_accuracy(voted["call"], truth, seed=seed)
        rows.append(base | {"method": "shuffled_calls", "value": dealt.mean()})
        span("shuffled_calls", gene_set, *np.quantile(dealt, tails), n, "default")

        scored = (table["gene_set"] == gene_set) & (table["level"] == "all") & (table["metric"] == "accuracy")
        of_names = table.loc[scored & (table["method"] == SHUFFLED), "value"].dropna()
        if len(of_names):
            rows.append(base | {"method": SHUFFLED, "value": of_names.mean()})
            span(SHUFFLED, gene_set, *np.quantile(of_names, tails), n, "default")
        of_main = table[scored & (table["method"] == "gest") & (table["variant"] == main) & table["crop"].notna()]
        means = of_main.groupby("crop")["value"].mean()
        if len(means) > 1:
            span("gest", gene_set, *_interval(means), n, main)

    for replicate in replicates.to_dict("records"):
        control = "/" not in replicate["variant"]  # a variant of the experiment names a context and σ
        base = {"method": replicate["variant"] if control else "gest", "crop": str(replicate["placement"])}
        base |= {"variant": "default" if control else replicate["variant"], "n": replicate["n_surroundings"]}
        base |= {name: replicate[name] for name in ("model_seed", "seed", "status")}
        told = {name: replicate[name] for name in REPLICATE_METRICS if not pd.isna(replicate[name])}
        told = told if replicate["status"] == "ok" else {"max_difference": np.nan}
        rows.extend(base | {"metric": name, "value": value} for name, value in told.items())
    scores = pd.DataFrame(rows).assign(task="perturbation", **about).reindex(columns=list(COLUMNS))
    none = scores["status"].isna() & scores["value"].isna()
    scores["status"] = scores["status"].fillna("ok").mask(none, "there is nothing to score")
    return scores.fillna({"crop": "", "level": "", "gene_set": ""})


def _interval(means: pd.Series) -> tuple[float, float]:
    """Student's 95 % interval of the mean."""
    half = t.ppf((1 + _COVERAGE) / 2, len(means) - 1) * means.std() / np.sqrt(len(means))
    return means.mean() - half, means.mean() + half


def accuracy(calls: pd.Series, truth: pd.Series) -> float:
    """Share of the genes of `truth` that have the same call; a gene without a call is a wrong one.

    Parameters
    ----------
    calls, truth
        Gene to `HIGH`, `LOW` or `NOT_SIGNIFICANT`.
    """
    return float((calls.reindex(truth.index) == truth).mean())


def shuffled_accuracy(calls: pd.Series, truth: pd.Series, *, n: int = 1000, seed: int = 0) -> np.ndarray:
    """Accuracies (n,) where the names of all genes that have a call are shuffled: what chance gives.

    Parameters
    ----------
    calls, truth
        As `accuracy` takes them.
    """
    rng = np.random.default_rng(seed)
    values = calls.to_numpy()
    return np.array([accuracy(pd.Series(rng.permutation(values), calls.index), truth) for _ in range(n)])
