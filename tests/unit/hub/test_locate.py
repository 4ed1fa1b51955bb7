"""Models from folders, archives and the web; broken or unsafe ones are refused."""

import hashlib
import shutil

import numpy as np
import pytest
import torch

import gest
from gest.errors import UserError
from gest.testing.server import serve


def same(model, loaded):
    """Compare all weights and the vocabularies."""
    weights, loaded_weights = model.state_dict(), loaded.state_dict()
    assert weights.keys() == loaded_weights.keys()
    assert all(torch.equal(weights[name], loaded_weights[name]) for name in weights)
    assert np.array_equal(model.vocabulary.genes, loaded.vocabulary.genes)
    return True


def test_the_same_model_comes_from_everywhere(model, shared):
    web = shared.parent
    shutil.make_archive(web / "plain", "zip", shared)
    shutil.make_archive(web / "packed", "gztar", web, "shared")
    assert same(model, gest.load(shared))
    assert same(model, gest.load(shared.as_uri()))
    assert same(model, gest.load(web / "plain.zip"))
    answers = []
    with serve(web, answers=answers) as address:
        for name in ("shared", "shared/", "plain.zip", "packed.tar.gz"):
            assert same(model, gest.load(f"{address}/{name}"))
    # The cache already holds the folder's files, from the archive that was unpacked first.
    assert {answer["path"] for answer in answers} == {"/shared/SHA256SUMS", "/plain.zip", "/packed.tar.gz"}


def test_a_folder_on_the_web_is_fetched_once(model, shared):
    answers = []
    with serve(shared.parent, answers=answers) as address:
        for _ in range(2):
            assert same(model, gest.load(f"{address}/shared"))
    fetched = [answer["path"].removeprefix("/shared/") for answer in answers]
    assert sorted(fetched) == sorted([*(path.name for path in shared.iterdir()), "SHA256SUMS"])


def test_a_wrong_file_is_named_with_what_was_expected(shared):
    path = shared / "model.safetensors"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    with serve(shared.parent) as address:
        for where in (shared, f"{address}/shared"):
            with pytest.raises(UserError) as error:
                gest.load(where)
            for part in ("model.safetensors", expected, got):
                assert part in str(error.value)
            assert "\n" not in str(error.value)


def test_nothing_of_a_broken_download_is_kept(model, shared, tmp_path):
    with serve(shared.parent, {"shared/vocabulary.npz": [404]}) as address:
        with pytest.raises(UserError, match=r"vocabulary\.npz answered 404") as raised:
            gest.load(f"{address}/shared")
        assert "run again" not in str(raised.value)
        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert same(model, gest.load(f"{address}/shared"))


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
def test_a_file_outside_the_folder_is_refused(shared, name):
    (shared / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n")
    with pytest.raises(UserError, match="do not trust"):
        gest.load(shared)


@pytest.mark.parametrize("text", ["", "no hashes\n", f"{'0' * 64}\n"])
def test_a_file_that_holds_no_hashes_is_refused(shared, text):
    (shared / "SHA256SUMS").write_text(text)
    with pytest.raises(UserError, match="expected a sha256 and a file name"):
        gest.load(shared)


def test_an_archive_of_something_else_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    shutil.make_archive(tmp_path / "other", "zip", tmp_path / "other")
    with pytest.raises(UserError, match="the archive holds 0 files SHA256SUMS"):
        gest.load(tmp_path / "other.zip")
