"""Confidence intervals of means."""

from typing import Any

import numpy as np
from scipy.stats import t

COVERAGE = 0.95


def half_width(sd: Any, n: Any) -> Any:
    """Return half the width of Student's 95 % interval of a mean.

    The mean is over `n` values, n >= 2, with the standard deviation `sd`; both may be arrays.
    """
    return t.ppf((1 + COVERAGE) / 2, n - 1) * sd / np.sqrt(n)
