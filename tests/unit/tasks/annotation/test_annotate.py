"""Annotating a section with an annotator."""

import numpy as np
import pytest

import gest
from gest.errors import UserError
from gest.tasks.annotation.annotate import annotate_tokens


def test_batch_size_does_not_matter(annotator, tokens):
    runs = [annotate_tokens(annotator, tokens[0], batch_size=size) for size in (1, 7, 500)]
    for run in runs[1:]:
        np.testing.assert_allclose(run, runs[0], atol=1e-5)
    np.testing.assert_allclose(runs[0].sum(1), 1, atol=1e-5)


def test_user_errors(sections, model, annotator):
    with pytest.raises(
        UserError, match="annotate: expected an Annotator, got GeST; create one with `gest fit-annotator`"
    ):
        gest.annotate(sections[0], model)
    with pytest.raises(UserError, match="the batch size is 0"):
        gest.annotate(sections[0], annotator, batch_size=0)
    few = sections[0][:, :10].copy()
    with pytest.raises(UserError, match="only 10 of the model's 40 genes"):
        gest.annotate(few, annotator)
