"""The whole way on real tissue, cut short: does what is learnt on one animal say anything of another?"""

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
    *one, other = (read(path, name=n, section_key="section", drop={"cell_type": ["Ambiguous"]}) for n in names)
    return one, other


def test_one_animal_teaches_of_another(animals, tmp_path):
    one, other = animals
    vocabulary = fit_sections(one, {"n_metacells": 100})
    model = gest.pretrain(one, vocabulary, CONFIG, out=tmp_path / "m")
    sections = [tokenize(section, vocabulary) for section in one], [tokenize(other, vocabulary)]
    assert validate(model, sections[1], seed=0)[0] < marginal_loss(*sections, vocabulary, model.config) - 0.05

    # So short a training says little of patterns; but the mean over meta cells hedges where the likeliest one gambles.
    crops = make_crops(other, {"n": 1, "sides": [300, 400], "min_cells": 80})
    made = predict_crops(other, crops, "gest", vocabulary=vocabulary, model=model)
    truth = expression(other, vocabulary)[other.obs_names.get_indexer(made.obs["cell"])].toarray()
    assert rmse_log(truth, made.layers["weighted"]).value < 0.95 * rmse_log(truth, made.layers["picking"]).value

    # A meta cell stands for cells of one type far more often than chance.
    tokens = tokenize(other, vocabulary).tokens
    gad, slc = (rankdata(truth_of) for truth_of in expression(other, vocabulary)[:, _columns(vocabulary)].toarray().T)
    book = vocabulary.expression[tokens][:, _columns(vocabulary)]
    assert np.corrcoef(book[:, 0], gad)[0, 1] > 0.5
    assert np.corrcoef(book[:, 1], slc)[0, 1] > 0.5


def _columns(vocabulary):
    return [list(vocabulary.genes).index(gene) for gene in ("Gad1", "Slc17a6")]
