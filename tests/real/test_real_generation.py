"""Predict expression in real tissue after a short training, from one animal to another."""

import numpy as np
import pytest
from scipy.stats import rankdata

import gest
from gest.data.sources.anndata import read
from gest.data.tokenize import expression, tokenize
from gest.metrics import rmse_log
from gest.paper.methods.crops import make_crops
from gest.paper.methods.generation import predict_crops
from gest.training.objective import marginal_loss, validate
from gest.training.vocabulary import fit_sections

pytestmark = pytest.mark.real

CONFIG = {
    "window": 400,
    "model": {"layers": 2, "heads": 2, "width": 32},
    "pretraining": {
        "steps": 120, "batch_size": 8, "learning_rate": 3e-3, "warmup_steps": 20, "validate_every": 40,
        "checkpoint_every": 60,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def animals(real_data):
    path = real_data / "merfish_moffitt_poa.h5ad"
    names = ("A1_bregma_+0.21", "A1_bregma_-0.29", "A18_bregma_+0.11")
    *train, test = (read(path, name=n, section_key="section", drop={"cell_type": ["Ambiguous"]}) for n in names)
    return train, test


@pytest.mark.slow
def test_one_animal_teaches_about_another(animals, tmp_path):
    train, test = animals
    vocabulary = fit_sections(train, {"n_metacells": 100})
    model = gest.pretrain(train, vocabulary, CONFIG, out=tmp_path / "m")
    training, held_out = [tokenize(section, vocabulary) for section in train], [tokenize(test, vocabulary)]
    loss = validate(model, held_out, seed=0)[0]
    assert loss < marginal_loss(training, held_out, vocabulary, model.config) - 0.05

    # Even after a short training, the mean over meta cells has a smaller error than the most probable meta cell.
    crops = make_crops(test, {"n": 1, "sides": [300, 400], "min_cells": 80})
    predicted = predict_crops(test, crops, "gest", vocabulary=vocabulary, model=model)
    truth = expression(test, vocabulary)[test.obs_names.get_indexer(predicted.obs["cell"])].toarray()
    weighted, picking = (rmse_log(truth, predicted.layers[name]).value for name in ("weighted", "picking"))
    assert weighted < 0.95 * picking

    # The expression of marker genes in cells and in their meta cells is correlated.
    columns = [list(vocabulary.genes).index(gene) for gene in ("Gad1", "Slc17a6")]
    measured = expression(test, vocabulary)[:, columns].toarray()
    quantised = vocabulary.expression[tokenize(test, vocabulary).tokens][:, columns]
    for cells, metacells in zip(measured.T, quantised.T, strict=True):
        assert np.corrcoef(metacells, rankdata(cells))[0, 1] > 0.5
