"""Test which genes differ between two generations of the same cells (Figure 5, Table A.3, decision 29)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, wilcoxon

from gest.errors import UserError

HIGH, LOW, NOT_SIGNIFICANT = "High", "Low", "n.s."


def differential(
    control: np.ndarray, perturbed: np.ndarray, genes: Sequence[str], *, q: float = 0.05, min_lfc: float = 0.1
) -> pd.DataFrame:
    """Test every gene over matched cells.

    Matched cells lie at the same coordinates and are generated with the same random draws.

    The p values are from Wilcoxon's two-sided signed-rank test, the q values from the procedure of Benjamini and
    Hochberg over all genes. Cells that one model generated from one region are not independent replicates: with many
    cells, even the smallest shift is significant, and only `min_lfc` keeps a call meaningful. To judge how certain a
    call is, compare replicates with other seeds and other placements of the region.

    Parameters
    ----------
    control, perturbed
        (m, T) log-normalised expression, ln(1 + x).
    genes
        Names of the T genes.
    q
        False-discovery rate; the q value of a call is below it.
    min_lfc
        Smallest |log2 fold change| of a call; 0.1 is a change of 7 %.

    Returns
    -------
    One row per gene: `gene`; `control` and `perturbed`, the means over cells; `log2_fold_change`, the mean difference
    divided by ln 2; `p`, which is 1 if no cell differs; `q`; `call` (`HIGH`, `LOW` or `NOT_SIGNIFICANT`); `n`, the
    number of cells.

    Raises
    ------
    UserError
        A threshold is out of range.
    """
    if not 0 < q < 1:
        raise UserError(f"perturb: q is {q} (expected between 0 and 1, such as 0.05).")
    if not min_lfc >= 0:
        raise UserError(f"perturb: min_lfc is {min_lfc} (expected a log2 fold change of at least 0, such as 0.1).")
    difference = perturbed.astype(np.float64) - control.astype(np.float64)
    p = np.ones(len(genes))
    differs = (difference != 0).any(axis=0)
    if differs.any():
        p[differs] = wilcoxon(difference[:, differs], axis=0).pvalue
    table = pd.DataFrame(
        {
            "gene": np.asarray(genes, dtype=str),
            "control": control.mean(axis=0, dtype=np.float64),
            "perturbed": perturbed.mean(axis=0, dtype=np.float64),
            "log2_fold_change": difference.mean(axis=0) / np.log(2),
            "p": p,
            "q": false_discovery_control(p),
        }
    )
    change = table["log2_fold_change"]
    called = (table["q"] < q) & (change.abs() >= min_lfc)
    table["call"] = np.select([called & (change > 0), called & (change < 0)], [HIGH, LOW], NOT_SIGNIFICANT)
    table["n"] = len(difference)
    return table
