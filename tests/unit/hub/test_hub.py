"""Sharing models: export, loading from every kind of place, and refusals."""

import hashlib
import shutil
import subprocess

import numpy as np
import pytest
import torch
import yaml

import gest
from gest.errors import UserError
from gest.hub.card import model_card
from gest.hub.export import export
from gest.tasks.annotation.annotator import Annotator
from gest.testing.server import serve


@pytest.fixture
def shared(model, tmp_path, monkeypatch):
    """An exported model, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model.metrics = {"training_cells": 1000, "target_cells_seen": 5000, "loss": 1.5, "validation_loss": None}
    model.save(tmp_path / "m")
    return export(tmp_path / "m", tmp_path / "web" / "shared", data="Simulated tissue", licence="cc0-1.0")


def same(model, loaded):
    """Compare all weights and the vocabularies."""
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert np.array_equal(model.vocabulary.genes, loaded.vocabulary.genes)
    return True


def test_the_hashes_are_those_that_sha256sum_checks(shared):
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=shared, capture_output=True, text=True, check=True
    )
    files = {"README.md", "config.json", "metrics.json", "model.safetensors", "vocabulary.npz"}
    assert {line.removesuffix(": OK") for line in done.stdout.splitlines()} == files


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


def test_an_annotator_is_shared_too(model, tmp_path):
    annotator = Annotator(model, ["a", "b"], label="layer", pool="mean")
    annotator.save(tmp_path / "annotator")
    shared = export(tmp_path / "annotator", tmp_path / "shared")
    loaded = gest.load(shared)
    assert isinstance(loaded, Annotator)
    assert loaded.classes == ["a", "b"]
    assert "model/model.safetensors" in (shared / "SHA256SUMS").read_text()
    assert "label cells by `layer`: a, b" in (shared / "README.md").read_text()


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


def test_the_card_describes_this_model(model, shared):
    front, text = (shared / "README.md").read_text().removeprefix("---\n").split("---\n", 1)
    assert yaml.safe_load(front) == {
        "library_name": "gest",
        "license": "cc0-1.0",
        "tags": ["spatial-transcriptomics", "gest"],
    }
    vocabulary = model.vocabulary
    for part in (
        "Simulated tissue. Trained on 1,000 cells, from 5,000 predictions",
        f"{vocabulary.normalisation['target_sum']:g} per cell",
        f"{len(vocabulary)} meta cells",
        "gene_12, and 28 more",
        "| loss | 1.5 |",
        "| validation_loss | null |",
        f"{sum(p.numel() for p in model.parameters()):,} parameters",
        "reaches 150 µm",
    ):
        assert part in text
    assert "are not stated" in model_card(model)


def test_the_page_on_the_card_explains_each_of_its_parts(model, shared, request):
    page = (request.config.rootpath / "docs" / "model_card.md").read_text()
    headings = [line[3:] for line in (shared / "README.md").read_text().splitlines() if line.startswith("## ")]
    assert headings == ["Use", "Data", "Genes", "Metrics", "Limits"]
    for heading in headings:
        assert f"**{heading}**" in page
