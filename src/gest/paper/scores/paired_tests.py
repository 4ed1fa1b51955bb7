"""Test methods against a reference method, paired by section."""

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from gest.errors import UserError
from gest.paper.scores.generation import METRICS

# With fewer differences, the p value of a two-sided signed-rank test cannot be below 0.05: 2 / 2**6 = 0.03.
LEAST_PAIRS = 6
# Methods are compared, and p values corrected, within each combination of these.
FAMILY = ["run", "task", "dataset", "level", "gene_set", "metric"]
COLUMNS = (*FAMILY, "method", "variant", "reference", "n_pairs", "median_difference", "p", "p_holm", "test")


def section_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of every method on every section.

    The average is over seeds within a crop, then over crops within the section.

    Parameters
    ----------
    scores
        A table with `gest.paper.scores.table.COLUMNS`; rows without a value are left out.

    Returns
    -------
    pandas.DataFrame
        `FAMILY`, `method`, `variant`, `section` and `value`, the mean.
    """
    keys = [*FAMILY, "method", "variant", "section"]
    crops = scores.dropna(subset="value").groupby([*keys, "crop"], sort=False)["value"].mean()
    return crops.groupby(keys, sort=False).mean().reset_index()


def compare(scores: pd.DataFrame, *, reference: tuple[str, str] = ("gest", "weighted")) -> pd.DataFrame:
    """Compare every method with a reference, paired by section.

    Scores are averaged over the seeds of a crop. The difference method - reference is taken on the crops for which both
    have scores, and averaged within the section, which gives one difference per section. The p values of two-sided
    Wilcoxon signed-rank tests are corrected by Holm's method over all methods of a metric and gene set.

    Parameters
    ----------
    scores
        A table with `gest.paper.scores.table.COLUMNS`.
    reference
        Method and variant that the others are compared with.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row per metric, gene set and method: the number of sections (`n_pairs`), the median of their
        differences, p and Holm's p (NaN without a test), and `test`, its name or the reason why there is none.

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
            f"the reference {name} has no scores (only {', '.join(sorted(pairs.unique())) or 'none'}). Add "
            f"{reference[0]} to generation.methods."
        )
    keys = [*FAMILY, "section", "crop"]
    crops = scored.groupby([*keys, "method", "variant"])["value"].mean().unstack(["method", "variant"])  # noqa: PD010
    others = crops.drop(columns=[reference])
    differences = others.sub(crops[reference], axis=0).groupby([*FAMILY, "section"]).mean()
    records = []
    for family, block in differences.groupby(FAMILY, sort=True):
        fields = dict(zip(FAMILY, family, strict=True)) | {"reference": name}
        tests = [fields | {"method": pair[0], "variant": pair[1]} | _test(block[pair]) for pair in block]
        _correct(tests)
        records += tests
    return pd.DataFrame(records, columns=list(COLUMNS))


def _test(differences: pd.Series) -> dict[str, object]:
    """Return the median and the signed-rank test of the sections' differences.

    The test ignores differences of 0.
    """
    differences = differences.dropna().to_numpy()
    enough = np.count_nonzero(differences) >= LEAST_PAIRS
    return {
        "n_pairs": len(differences),
        "median_difference": float(np.median(differences)) if len(differences) else np.nan,
        "p": float(wilcoxon(differences).pvalue) if enough else np.nan,
        "p_holm": np.nan,
        "test": "Wilcoxon signed-rank" if enough else "n too small",
    }


def _correct(tests: list[dict[str, object]]) -> None:
    """Add Holm's p to the tests that have a p."""
    with_p = [test for test in tests if not np.isnan(test["p"])]
    if not with_p:
        return
    corrected = multipletests([test["p"] for test in with_p], method="holm")[1]
    for test, p in zip(with_p, corrected, strict=True):
        test["p_holm"] = float(p)
