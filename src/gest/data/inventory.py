"""Describe each imported section in one row, and compare totals with the known numbers of the upstream data."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gest.errors import UserError
from gest.sections import read_section

COLUMNS = (
    *("dataset", "section", "upstream_name", "donor", "role", "cells", "genes", "median_counts", "median_genes"),
    *("width_um", "height_um"),
)


def describe(dataset: str, section: str, role: str, path: str) -> dict[str, Any]:
    """Make the section's row of the inventory, with the columns `COLUMNS`.

    Lengths are in µm; medians are over cells.
    """
    adata = read_section(path)
    width, height = np.ptp(adata.obsm["spatial"], axis=0)
    return {
        "dataset": dataset,
        "section": section,
        "upstream_name": adata.obs["section"].iloc[0],
        "donor": adata.obs["donor"].iloc[0],
        "role": role,
        "cells": adata.n_obs,
        "genes": adata.n_vars,
        "median_counts": float(np.median(np.asarray(adata.X.sum(axis=1)))),
        "median_genes": float(np.median(np.diff(adata.X.indptr))),
        "width_um": round(float(width), 1),
        "height_um": round(float(height), 1),
    }


def expect(counts: Mapping[str, int], expected: Mapping[str, Any] | None, *, where: str) -> None:
    """Check that counts of imported data match the known counts of upstream.

    Parameters
    ----------
    counts
        Counts by name: "cells", "genes", "sections".
    expected
        Expected counts by the same names, each exact or as [lowest, highest]. Counts without an expected one are not
        checked.
    where
        The files, for the error message.

    Raises
    ------
    UserError
        A count is not as expected.
    """
    for name in counts.keys() & (expected or {}).keys():
        allowed = expected[name]
        lowest, highest = allowed if isinstance(allowed, Iterable) else (allowed, allowed)
        if not lowest <= counts[name] <= highest:
            allowed = f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"
            raise UserError(
                f"{where}: there are {counts[name]:,} {name} (expected {allowed}); fetch the files again, or "
                f"correct `expected.{name}` in config/datasets.yaml if upstream has changed"
            )


def totals(table: pd.DataFrame) -> dict[str, int]:
    """Count sections, cells and genes of an inventory, for `expect`."""
    return {"sections": len(table), "cells": int(table["cells"].sum()), "genes": int(table["genes"].max())}
