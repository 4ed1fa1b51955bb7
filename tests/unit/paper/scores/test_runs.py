"""Labellings are stored without loss, as two tables that must list the same runs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gest.errors import UserError
from gest.paper.scores.runs import Labelling, read_labellings, runs_path, write_labellings

CELLS = np.array(["a", "NA", "c,d"], dtype=object)


def labelling(labels=("0", "1", ""), **changes):
    base = Labelling(
        method="gest",
        variant="600",
        level="division",
        model_seed=0,
        seed=3,
        labels=np.array(labels, dtype=object),
        seconds=1 / 3,
        peak_mb=512.25,
        version="GeST 0.1.0",
    )
    return replace(base, **changes)


RUNS = [
    labelling(),
    labelling(["NA", 'a "b", c', "nan"], level="region"),
    labelling(["", "", ""], model_seed=None, seconds=float("nan"), peak_mb=float("nan"), status="out of memory at 3"),
]


def test_labellings_read_back_as_written(tmp_path):
    write_labellings(RUNS, CELLS, tmp_path / "gest.csv")
    back, cells = read_labellings(tmp_path / "gest.csv")
    assert cells.tolist() == CELLS.tolist()
    assert len(back) == 3
    for written, read in zip(RUNS, back, strict=True):
        np.testing.assert_equal(vars(read), vars(written))
    assert [run.model_seed for run in back] == [0, 0, None]
    assert back[0].covered.tolist() == [True, True, False]
    assert not back[2].covered.any()


def test_the_two_files_are_plain_tables(tmp_path):
    write_labellings(RUNS, CELLS, tmp_path / "gest.csv")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gest.csv", "gest.runs.csv"]
    labels = pd.read_csv(tmp_path / "gest.csv", dtype=str, keep_default_na=False)
    assert labels.columns.tolist() == ["cell", "600/division/0/3", "600/region/0/3", "600/division//3"]
    runs = pd.read_csv(tmp_path / "gest.runs.csv", index_col="column")
    assert runs.loc["600/region/0/3", ["level", "model_seed", "seed", "peak_mb"]].tolist() == ["region", 0, 3, 512.25]


def test_two_labellings_with_one_column_are_refused_and_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match="same variant, level and seeds"):
        write_labellings([labelling(), labelling()], CELLS, tmp_path / "gest.csv")
    with pytest.raises(ValueError, match="same length"):
        write_labellings([labelling(["0", "1"])], CELLS, tmp_path / "gest.csv")
    assert not list(tmp_path.iterdir())


def test_tables_of_other_runs_are_refused(tmp_path):
    write_labellings(RUNS, CELLS, tmp_path / "gest.csv")
    write_labellings(RUNS[:2], CELLS, tmp_path / "other.csv")
    runs_path(tmp_path / "other.csv").replace(runs_path(tmp_path / "gest.csv"))
    with pytest.raises(UserError, match=r"gest\.csv: its 3 columns of labels are not the 2 runs of gest\.runs"):
        read_labellings(tmp_path / "gest.csv")
