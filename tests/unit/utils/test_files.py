"""Files and folders are written whole or not at all."""

import pytest
from helpers import refused

from gest.utils.files import replaceable, whole_file, whole_folder


def test_a_file_takes_its_name_once_it_is_whole(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with whole_file(path) as partial:
        assert partial.suffix == ".csv"
        assert partial.parent == path.parent
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_of_another_kind_is_not_replaced(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "thesis.tex").touch()
    refused(lambda: replaceable(folder, "config.json"), "model: already exists without config.json", "another --out")
    (folder / "config.json").touch()
    with whole_folder(folder, "config.json") as partial:
        (partial / "config.json").write_text("new")
    assert [path.name for path in folder.iterdir()] == ["config.json"]
