"""The annotator: its pooled outputs against NumPy, and its directory."""

import shutil

import numpy as np
import pytest
import torch

from gest.errors import UserError
from gest.hub.load import load
from gest.tasks.niches import Niches


@pytest.mark.parametrize("pool", ["mean", "max"])
@torch.no_grad()
def test_pooled_outputs_are_those_of_each_niche_alone(annotator, tokens, pool):
    annotator.pool = pool
    cells = np.array([3, 200, 77, 410])
    niches = Niches(tokens[0], annotator.model.config, seed=5)
    weight, bias = (p.numpy() for p in (annotator.linear.weight, annotator.linear.bias))
    together = annotator(*niches.batch(cells, torch.device("cpu"))).numpy()
    sizes = set()
    for cell, logits in zip(cells, together, strict=True):
        drawn, bins = (torch.tensor(x)[None] for x in niches.draw(cell))  # no padding
        outputs = annotator.model.niche(drawn, bins, torch.tensor([drawn.shape[1]]))[0].numpy()
        sizes.add(len(outputs))
        pooled = outputs.mean(0) if pool == "mean" else outputs.max(0)
        np.testing.assert_allclose(logits, pooled @ weight.T + bias, atol=1e-5)
    assert len(sizes) > 1, "some were padded"


def test_a_damaged_annotator_is_refused(annotator, tmp_path):
    annotator.save(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a" / "annotator.safetensors").unlink()
    with pytest.raises(UserError, match=r"'annotator\.safetensors' is missing"):
        load(tmp_path / "a")
    (tmp_path / "b" / "annotator.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="the annotator is damaged"):
        load(tmp_path / "b")


def test_a_folder_of_something_else_is_not_replaced(annotator, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(UserError, match=r"already exists without annotator\.json"):
        annotator.save(tmp_path / "mine")
