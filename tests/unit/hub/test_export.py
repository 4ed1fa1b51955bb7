"""Exported folders: their hashes, and exported annotators."""

import subprocess

import gest
from gest.hub.export import export
from gest.tasks.annotation.annotator import Annotator


def test_the_hashes_are_those_that_sha256sum_checks(shared):
    finished = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=shared, capture_output=True, text=True, check=True
    )
    files = {"README.md", "config.json", "metrics.json", "model.safetensors", "vocabulary.npz"}
    assert {line.removesuffix(": OK") for line in finished.stdout.splitlines()} == files


def test_an_annotator_is_shared_too(model, tmp_path):
    annotator = Annotator(model, ["a", "b"], label="layer", pool="mean")
    annotator.save(tmp_path / "annotator")
    shared = export(tmp_path / "annotator", tmp_path / "shared")
    loaded = gest.load(shared)
    assert isinstance(loaded, Annotator)
    assert loaded.classes == ["a", "b"]
    assert "model/model.safetensors" in (shared / "SHA256SUMS").read_text()
    assert "label cells by `layer`: a, b" in (shared / "README.md").read_text()
