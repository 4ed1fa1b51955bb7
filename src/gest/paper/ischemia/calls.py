"""Calls of genes (High, Low or n.s.) around an infarct: read them, vote on one per gene, compare with the truth."""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from gest.tasks.perturbation.differential import HIGH, LOW, NOT_SIGNIFICANT

METRICS = ("accuracy", "false_discovery_rate")


def read_calls(paths: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Read and concatenate the calls of several models.

    `gest paper perturb-ischemia` writes the files.
    """
    tables = [pd.read_csv(path, dtype={"gene": str}).fillna({"changed": ""}) for path in paths]
    return pd.concat(tables, ignore_index=True)


def vote(calls: pd.DataFrame) -> pd.DataFrame:
    """Choose for each gene the call of more than half of the replicates.

    Without such a majority, the gene is not significant. A replicate is a combination of placement, generation seed and
    model seed. Cells of one replicate are not independent, so replicates vote instead of pooling their cells in a test.

    Parameters
    ----------
    calls
        Calls of one variant, as `gest.paper.ischemia.experiment.Ischemia.calls`.

    Returns
    -------
    Indexed by gene: `call`; `support`, the share of replicates with this call; `log2_fold_change`, the mean over all
    replicates; `changed`, how the gene was changed in the region.
    """
    shares = pd.crosstab(calls["gene"], calls["call"], normalize="index").reindex(
        columns=[HIGH, LOW, NOT_SIGNIFICANT], fill_value=0.0
    )
    call = np.select([shares[HIGH] > 0.5, shares[LOW] > 0.5], [HIGH, LOW], NOT_SIGNIFICANT)
    table = pd.DataFrame({"call": call}, index=shares.index)
    table["support"] = [shares.loc[gene, call] for gene, call in table["call"].items()]
    genes = calls.groupby("gene")
    return table.assign(log2_fold_change=genes["log2_fold_change"].mean(), changed=genes["changed"].first())


def split_truth(degs: pd.DataFrame, covered: Sequence[str], calls: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the truth, gene to High, Low or n.s., for each set of genes.

    The sets are `all` genes; those `in_file`, in the ischemia data; those `in_panel`, in the model's panel; and
    `unchanged`, those of the panel that were not changed in the region, so that only the model decides their calls.

    Parameters
    ----------
    degs
        As `gest.paper.ischemia.reference.read_degs` returns it.
    covered
        Genes of the ischemia data.
    calls
        Calls of one replicate, or the vote; only `gene` and `changed` are read.
    """
    truth = degs.set_index("gene")["truth"]
    panel = calls["gene"]
    return {
        "all": truth,
        "in_file": truth[truth.index.isin(covered)],
        "in_panel": truth[truth.index.isin(panel)],
        "unchanged": truth[truth.index.isin(panel[calls["changed"] == ""])],
    }


def measure_agreement(calls: pd.Series, truth: pd.Series) -> dict[str, float]:
    """Compare calls with the truth, gene to High, Low or n.s.

    A gene of the truth without a call is not significant.

    Returns
    -------
    `accuracy`, the share of the truth's High and Low genes with the right call, which is also the sensitivity; and
    `false_discovery_rate`, the share of wrong calls among the truth's genes called High or Low. Shares of no genes are
    NaN.
    """
    calls = calls.reindex(truth.index).fillna(NOT_SIGNIFICANT)
    right = calls == truth
    shares = right[truth != NOT_SIGNIFICANT], ~right[calls != NOT_SIGNIFICANT]
    return {name: float(share.mean()) if len(share) else np.nan for name, share in zip(METRICS, shares, strict=True)}


def accuracy(calls: pd.Series, truth: pd.Series) -> float:
    """Return the share of the genes of `truth` whose call is right.

    A gene without a call counts as wrong.

    Parameters
    ----------
    calls, truth
        Gene to `HIGH`, `LOW` or `NOT_SIGNIFICANT`.
    """
    return float((calls.reindex(truth.index) == truth).mean())


def shuffled_accuracy(calls: pd.Series, truth: pd.Series, *, n: int = 1000, seed: int = 0) -> np.ndarray:
    """Return accuracies (n,) by chance, each after shuffling the calls among genes.

    Parameters
    ----------
    calls, truth
        See `accuracy`.
    """
    rng = np.random.default_rng(seed)
    values = calls.to_numpy()
    return np.array([accuracy(pd.Series(rng.permutation(values), calls.index), truth) for _ in range(n)])
