"""Fixtures of the tests of the hub."""

import pytest

from gest.hub.export import export


@pytest.fixture
def shared(model, tmp_path, monkeypatch):
    """Export a model to a folder; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model.metrics = {"training_cells": 1000, "target_cells_seen": 5000, "loss": 1.5, "validation_loss": None}
    model.save(tmp_path / "m")
    return export(tmp_path / "m", tmp_path / "web" / "shared", data="Simulated tissue", licence="cc0-1.0")
