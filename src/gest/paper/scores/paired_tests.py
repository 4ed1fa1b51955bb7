"""Paired statistics between methods: by how much they differ on the same sections, and whether by chance."""

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from gest.errors import UserError
from gest.paper.scores.generation import METRICS

# Of fewer differences no two-sided signed-rank test can fall below 0.05: 2 / 2**6 = 0.03.
LEAST_PAIRS = 6
# Methods are compared, and p-values corrected, within one of these.
FAMILY = ["run", "task", "dataset", "level", "gene_set", "metric"]
COLUMNS = (*FAMILY, "method", "variant", "reference", "n_pairs", "median_difference", "p", "p_holm", "test")


def section_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of every method and metric on every section, seeds averaged within a crop and crops within the section.

    Parameters
    ----------
    scores
        A table with `gest.paper.scores.table.COLUMNS`; rows without a value are left out.

    Returns
    -------
    pandas.DataFrame
        run, task, dataset, level, gene_set, metric, method, variant, section, `value`.
    """
    keys = [*FAMILY, "method", "variant", "section"]
    crops = scores.dropna(subset="value").groupby([*keys, "crop"], sort=False)["value"].mean()
    return crops.groupby(keys, sort=False).mean().reset_index()


def compare(scores: pd.DataFrame, *, reference: tuple[str, str] = ("gest", "weighted")) -> pd.DataFrame:
    """Compare every method with one of them, paired by section.

    Seeds are averaged within a crop, the difference method - reference is taken on the crops that both have, and
    averaged within the section: one difference per section. Their two-sided Wilcoxon signed-rank test is corrected by
    Holm over all methods of a metric and gene set.

    Parameters
    ----------
    scores
        A table with `gest.paper.scores.table.COLUMNS`.
    reference
        Method and variant to compare the others with.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row per metric, gene set and method: `n_pairs` sections, the median of their differences, p and
        Holm's p (NaN where not computable), and `test`, which names the test or says why there is none.

    Raises
    ------
    UserError
        If the reference has no scores.
    """
    scored = scores[scores["metric"].isin(METRICS)].dropna(subset="value")
    name = " ".join(reference)
    pairs = scored["method"] + " " + scored["variant"]
    if not (pairs == name).any():
        raise UserError(
            f"methods are compared with {name}, which has no scores ({', '.join(sorted(pairs.unique())) or 'none'} "
            f"do): add {reference[0]} to generation.methods."
        )
    keys = [*FAMILY, "section", "crop"]
    crops = scored.groupby([*keys, "method", "variant"])["value"].mean().unstack(["method", "variant"])  # noqa: PD010
    others = crops.drop(columns=[reference])
    differences = others.sub(crops[reference], axis=0).groupby([*FAMILY, "section"]).mean()
    records = []
    for family, block in differences.groupby(FAMILY, sort=True):
        about = dict(zip(FAMILY, family, strict=True)) | {"reference": name}
        tested = [about | dict(zip(("method", "variant"), pair, strict=True)) | _test(block[pair]) for pair in block]
        _correct(tested)
        records += tested
    return pd.DataFrame(records, columns=list(COLUMNS))


def _test(differences: pd.Series) -> dict[str, object]:
    """Median and signed-rank test of one difference per section; the test leaves differences of 0 out."""
    differences = differences.dropna().to_numpy()
    able = np.count_nonzero(differences) >= LEAST_PAIRS
    return {
        "n_pairs": len(differences),
        "median_difference": float(np.median(differences)) if len(differences) else np.nan,
        "p": float(wilcoxon(differences).pvalue) if able else np.nan,
        "p_holm": np.nan,
        "test": "Wilcoxon signed-rank" if able else "n too small",
    }


def _correct(tested: list[dict[str, object]]) -> None:
    """Add Holm's p to those that have one."""
    able = [record for record in tested if not np.isnan(record["p"])]
    if able:
        for record, p in zip(able, multipletests([record["p"] for record in able], method="holm")[1], strict=True):
            record["p_holm"] = float(p)
