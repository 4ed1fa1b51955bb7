"""Loading a model or an annotator, as the caller expects."""

import pytest

from gest import Annotator, GeST
from gest.errors import UserError
from gest.hub.load import load


def test_the_other_class_is_refused(model, tmp_path):
    model.save(tmp_path / "m")
    Annotator(model, ["a", "b"], label="region", pool="mean").save(tmp_path / "a")
    assert isinstance(load(tmp_path / "m", expected=GeST), GeST)
    assert isinstance(load(tmp_path / "a", expected=Annotator), Annotator)
    with pytest.raises(UserError, match="m: expected an Annotator, got GeST; create one with `gest fit-annotator`"):
        load(tmp_path / "m", expected=Annotator)
    with pytest.raises(UserError, match="a: expected GeST, got Annotator; of an annotator, use the folder 'model'"):
        load(tmp_path / "a", expected=GeST)
    assert isinstance(load(tmp_path / "a" / "model", expected=GeST), GeST)


def test_an_empty_folder_lacks_the_files_of_what_is_expected(tmp_path):
    with pytest.raises(UserError, match=r"'annotator\.json' is missing .* create it with `gest fit-annotator`"):
        load(tmp_path, expected=Annotator)
    with pytest.raises(UserError, match=r"'model\.safetensors' is missing .* `gest pretrain`"):
        load(tmp_path)
