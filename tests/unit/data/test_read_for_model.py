"""All tasks read a section in one way: its coordinates, expression, columns and empty cells."""

import numpy as np
import pytest
from helpers import refused

from gest.data import read_for_model as module
from gest.data.read_for_model import read_for_model, to_model_input
from gest.data.tokenize import expression, match_genes, tokenize
from gest.model import GeST


@pytest.fixture
def section(sections):
    """Copy a section, and remove all counts of two cells."""
    adata = sections[0].copy()
    counts = adata.X.toarray()
    counts[[3, 8]] = 0
    adata.X = counts
    return adata


def test_parts_are_those_of_the_single_steps(section, vocabulary):
    with pytest.warns(UserWarning, match="section: 2 cells have no counts; they are left out"):
        read = read_for_model(section, vocabulary, empty_cells="they are left out")
    np.testing.assert_array_equal(read.xy, section.obsm["spatial"])
    np.testing.assert_array_equal(read.expression.toarray(), expression(section, vocabulary).toarray())
    np.testing.assert_array_equal(read.columns, match_genes(section, vocabulary))
    assert np.flatnonzero(~read.has_counts).tolist() == [3, 8]


def test_only_seen_cells_are_read(section, vocabulary):
    seen = np.arange(section.n_obs) >= 10
    section.X[~seen] = np.nan
    read = read_for_model(section, vocabulary, empty_cells="they are left out", seen=seen)
    assert len(read.xy) == section.n_obs
    assert read.expression.shape[0] == len(read.has_counts) == seen.sum()
    assert read.has_counts.all()


def test_genes_are_matched_once(section, vocabulary, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "match_genes", lambda *args: calls.append(args) or match_genes(*args))
    monkeypatch.setattr("gest.data.tokenize.match_genes", None)
    with pytest.warns(UserWarning, match="no counts"):
        read_for_model(section, vocabulary, empty_cells="they are left out")
    assert len(calls) == 1


def test_pixels_are_refused(section, vocabulary):
    section.uns["spatial_units"] = "pixel"
    refused(lambda: read_for_model(section, vocabulary, empty_cells=""), "section: coordinates are in pixels")


@pytest.mark.parametrize("quantised", [True, False])
def test_model_input_is_that_of_training(sections, vocabulary, tmp_path, quantised):
    model = GeST({"model": {"layers": 1, "heads": 2, "width": 16, "quantised": quantised}}, vocabulary)
    read, trained = to_model_input(sections[0], model), tokenize(sections[0], vocabulary, tmp_path)
    np.testing.assert_array_equal(read.xy, trained.xy)
    np.testing.assert_array_equal(read.tokens, trained.tokens)
    if quantised:
        assert read.expression is None
    else:
        np.testing.assert_array_equal(read.expression.toarray(), trained.expression.toarray())
