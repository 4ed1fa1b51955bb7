"""Niche embeddings against a reference: section 3.5 with an explicit mask."""

import numpy as np
import pytest
import torch
from helpers import TINY

import gest
from gest import GeST
from gest.errors import UserError
from gest.tasks.embed import embed_tokens
from gest.tasks.niches import Niches


@torch.no_grad()
def reference(model: GeST, tokens: np.ndarray, bins: np.ndarray) -> torch.Tensor:
    """Run N cell tokens and N + 1 position tokens, the first and last for the target cell: outputs (N + 1, D)."""
    tokens, bins = torch.tensor(tokens)[None], torch.tensor(bins)[None]
    N = tokens.shape[1]
    x = torch.cat(
        (model.cell_tokens(tokens, bins), model.position_tokens(torch.cat((bins, bins[:, :1]), dim=1))), dim=1
    )  # (1, 2N + 1, D)
    mask = torch.zeros(2 * N + 1, 2 * N + 1, dtype=torch.bool)
    mask[:N, :N] = torch.ones(N, N).tril()
    for k in range(N + 1):  # position token k sees the k cells before it, and itself
        mask[N + k, :k] = mask[N + k, N + k] = True
    for block in model.blocks:
        q, k, v = block.split(x)
        scores = (q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5
        x = block.join(x, scores.masked_fill(~mask, float("-inf")).softmax(-1) @ v)
    return model.norm(x)[0, N:]


def test_the_embedding_is_the_last_output_of_section_3_5(model, tokens):
    niches = Niches(tokens[0], model.config, seed=3)
    embedding = embed_tokens(model, tokens[0], seed=3, batch_size=7)
    for cell in (0, 17, 250):
        drawn, bins = niches.draw(cell)
        torch.testing.assert_close(torch.tensor(embedding[cell]), reference(model, drawn, bins)[-1])


def test_every_output_of_a_niche_is_that_of_its_cell(model, tokens):
    niches = Niches(tokens[0], model.config)
    cells = [5, 100, 431]
    batch = niches.batch(cells, torch.device("cpu"))
    with torch.no_grad():
        outputs = model.niche(*batch)
    for cell, length, output in zip(cells, batch[2], outputs, strict=True):
        torch.testing.assert_close(output[:length], reference(model, *niches.draw(cell))[1:])


def test_batches_and_bytes(model, tokens):
    batched, single = embed_tokens(model, tokens[0]), embed_tokens(model, tokens[0], batch_size=1)
    np.testing.assert_allclose(batched, single, atol=1e-5)
    assert batched.tobytes() == embed_tokens(model, tokens[0]).tobytes()
    assert np.abs(batched - embed_tokens(model, tokens[0], seed=1)).max() > 1e-6, "another seed, another order"
    assert np.abs(batched - embed_tokens(model, tokens[0], window=100)).max() > 1e-3


def test_a_lonely_cell_is_embedded(model, tokens):
    section = tokens[0]._replace(xy=np.vstack([tokens[0].xy[:-1], [[1e5, 1e5]]]))
    assert np.isfinite(embed_tokens(model, section)[-1]).all()


def test_result_in_anndata(sections, model):
    adata = sections[0].copy()
    result = gest.embed(adata, model, window=200)
    assert result is adata
    assert adata.obsm["X_gest"].shape == (500, 16)
    assert adata.uns["X_gest"] == {"window": 200.0, "seed": 0}
    assert np.isfinite(adata.obsm["X_gest"]).all()


def test_a_model_without_quantisation_embeds(sections, vocabulary):
    torch.manual_seed(0)
    continuous = GeST(TINY | {"model": TINY["model"] | {"quantised": False}}, vocabulary)
    assert np.isfinite(gest.embed(sections[0].copy(), continuous).obsm["X_gest"]).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"window": 600}, r"the window is 600 µm \(expected above 0 and at most 300 µm, the model's\)"),
        ({"window": 0}, "the window is 0 µm"),
        ({"batch_size": 0}, r"the batch size is 0 \(expected at least 1\)"),
    ],
)
def test_user_errors(sections, model, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        gest.embed(sections[0].copy(), model, **settings)


def test_a_section_without_counts_is_refused(sections, model):
    empty = sections[0].copy()
    empty.X = None
    with pytest.raises(UserError, match=r"X is missing \(expected counts\)"):
        gest.embed(empty, model)
