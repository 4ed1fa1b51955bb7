"""Expression in memory-mapped files."""

import mmap

import numpy as np
import pytest

from gest.data.on_disk import error_of_mean, on_disk
from gest.data.tokenize import expression, tokenize


def is_mapped(array):
    """Return whether an array's memory is a mapped file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_expression_lies_on_disk_and_leaves_no_file(sections, vocabulary, tmp_path):
    rows = expression(sections[0], vocabulary)
    mapped = on_disk(rows, tmp_path)
    assert all(is_mapped(array) for array in (mapped.data, mapped.indices, mapped.indptr))
    assert not list(tmp_path.iterdir())
    picked = np.array([7, 3, 499, 3])
    np.testing.assert_array_equal(mapped[picked].toarray(), rows[picked].toarray())
    empty = rows * 0
    empty.eliminate_zeros()
    assert not on_disk(empty, tmp_path)[picked].toarray().any()


def test_section_with_expression_on_disk(sections, vocabulary, tmp_path):
    section, plain = tokenize(sections[0], vocabulary, tmp_path), tokenize(sections[0], vocabulary)
    np.testing.assert_array_equal(section.xy, plain.xy)
    np.testing.assert_array_equal(section.tokens, plain.tokens)
    np.testing.assert_array_equal(section.expression.toarray(), expression(sections[0], vocabulary).toarray())


def test_error_of_the_mean(sections, vocabulary, tmp_path):
    tokens = [tokenize(section, vocabulary, tmp_path) for section in sections]
    training, scored = (expression(section, vocabulary).toarray() for section in sections)
    expected = ((scored - training.mean(0)) ** 2).mean()
    assert error_of_mean(tokens[:1], tokens[1:]) == pytest.approx(expected, rel=1e-5)
