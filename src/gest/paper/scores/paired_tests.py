"""Test methods against a reference method, paired by section."""

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from gest.errors import UserError
from gest.paper.scores.generation import METRICS

# Fewest differences other than 0 with which a two-sided signed-rank test can reach p < 0.05. With n of them, the lowest
# p is 2 / 2**n: 0.03 for n = 6, and 0.06 for n = 5.
LEAST_PAIRS = 6
# Methods are compared, and p values corrected, within a family: the rows with equal values in these columns.
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
        The columns `FAMILY`, `method`, `variant`, `section` and `value` (the mean).
    """
    keys = [*FAMILY, "method", "variant", "section"]
    crops = scores.dropna(subset="value").groupby([*keys, "crop"], sort=False)["value"].mean()
    return crops.groupby(keys, sort=False).mean().reset_index()


def compare(scores: pd.DataFrame, *, reference: tuple[str, str] = ("gest", "weighted")) -> pd.DataFrame:
    """Compare every method with a reference, paired by section.

    Scores are averaged over the seeds of a crop. The reference's score is subtracted from the method's on every crop
    for which both have scores, and the differences are averaged within the section. A two-sided Wilcoxon signed-rank
    test uses one difference per section. Its p values are corrected by Holm's method over all methods of a `FAMILY`.

    Parameters
    ----------
    scores
        A table with `gest.paper.scores.table.COLUMNS`.
    reference
        Method and variant that the others are compared with.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`, with one row per family and method: the number of sections (`n_pairs`), the median of
        their differences, p and Holm's p (NaN without a test), and `test`, its name or why there is none.

    Raises
    ------
    UserError
        If the reference has no scores.
    """
    scored = scores[scores["metric"].isin(METRICS)].dropna(subset="value")
    reference_name = " ".join(reference)
    method_names = scored["method"] + " " + scored["variant"]
    if not (method_names == reference_name).any():
        raise UserError(
            f"the reference {reference_name} has no scores (only "
            f"{', '.join(sorted(method_names.unique())) or 'none'}). Add {reference[0]} to generation.methods."
        )
    keys = [*FAMILY, "section", "crop"]
    crops = scored.groupby([*keys, "method", "variant"])["value"].mean().unstack(["method", "variant"])  # noqa: PD010
    others = crops.drop(columns=[reference])
    differences = others.sub(crops[reference], axis=0).groupby([*FAMILY, "section"]).mean()
    records = []
    for family, block in differences.groupby(FAMILY, sort=True):
        fields = dict(zip(FAMILY, family, strict=True)) | {"reference": reference_name}
        tests = [
            fields | {"method": method, "variant": variant} | _test(block[method, variant]) for method, variant in block
        ]
        _correct(tests)
        records += tests
    return pd.DataFrame(records, columns=list(COLUMNS))


def _test(differences: pd.Series) -> dict[str, object]:
    """Return the median of the sections' differences, and their signed-rank test.

    The test ignores differences of 0, which still count in `n_pairs` and the median.
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
    """Set Holm's p in the tests that have a p."""
    tested = [test for test in tests if not np.isnan(test["p"])]
    if not tested:
        return
    corrected = multipletests([test["p"] for test in tested], method="holm")[1]
    for test, p in zip(tested, corrected, strict=True):
        test["p_holm"] = float(p)
