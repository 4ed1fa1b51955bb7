"""Fixtures of the tests of annotation."""

import pytest
import torch

from gest.tasks.annotation.annotator import Annotator


@pytest.fixture
def annotator(model):
    torch.manual_seed(1)
    return Annotator(model, ["a", "b", "c"], label="region", pool="mean").eval()
