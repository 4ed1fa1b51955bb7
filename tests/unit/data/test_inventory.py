"""The inventory of sections, and the comparison with expected numbers."""

import numpy as np
import pandas as pd
import pytest

from gest.data.inventory import COLUMNS, describe, expect, totals
from gest.errors import UserError
from gest.sections import write_section


def test_a_row_describes_its_section(sections, tmp_path):
    write_section(sections[0], tmp_path / "s.h5ad")
    row = describe("d", "mouse1_001", "test", str(tmp_path / "s.h5ad"))
    assert tuple(row) == COLUMNS
    x, xy = sections[0].X.toarray(), sections[0].obsm["spatial"]
    assert (row["cells"], row["genes"]) == x.shape
    assert row["median_counts"] == np.median(x.sum(1))
    assert row["median_genes"] == np.median((x > 0).sum(1))
    assert row["width_um"] == pytest.approx(xy[:, 0].max() - xy[:, 0].min(), abs=0.05)
    assert row["upstream_name"] == sections[0].obs["section"].iloc[0]


def test_expected_numbers_are_exact_or_ranges():
    expect({"cells": 5, "genes": 7}, {"cells": 5, "genes": [6, 7]}, where="f")
    expect({"cells": 5}, None, where="f")
    expect({"cells": 5}, {"sections": 3}, where="f")
    with pytest.raises(UserError, match=r"^f: there are 5 cells \(expected 6\); "):
        expect({"cells": 5}, {"cells": 6}, where="f")
    with pytest.raises(UserError, match=r"\(expected 6 to 9,000\)"):
        expect({"cells": 5}, {"cells": [6, 9000]}, where="f")


def test_totals():
    table = pd.DataFrame({"cells": [3, 4], "genes": [10, 10]})
    assert totals(table) == {"sections": 2, "cells": 7, "genes": 10}
