"""Annotate real tissue after a short training: two animals teach the layers of a third."""

import numpy as np
import pytest

import gest
from gest.data.sources.anndata import read
from gest.metrics import macro_f1
from gest.training.vocabulary import fit_sections

pytestmark = pytest.mark.real

CONFIG = {
    "window": 200,
    "model": {"layers": 2, "heads": 2, "width": 32},
    "pretraining": {
        "steps": 60, "batch_size": 8, "learning_rate": 3e-3, "warmup_steps": 10, "validate_every": 60,
        "checkpoint_every": 60,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def animals(real_data):
    path = real_data / "starmap_mpfc.h5ad"
    names = ("BZ5", "BZ9", "BZ14")
    settings = {"section_key": "section", "donor_key": "donor", "labels": {"region": "region"}}
    return [read(path, name=name, microns_per_unit=0.09, **settings) for name in names]


@pytest.mark.slow
def test_layers_of_two_animals_are_found_in_a_third(animals, tmp_path):
    *train, test = animals
    model = gest.pretrain(train, fit_sections(train, {"n_metacells": 100}), CONFIG, out=tmp_path / "m")
    settings = {"steps": 100, "batch_size": 16, "learning_rate": 2e-3, "validate_every": 25}
    annotator = gest.fit_annotator(train, model, label="region", **settings)
    truth = test.obs["region"].astype(str).to_numpy()
    predicted = gest.annotate(test, annotator).obs["gest_region"].astype(str).to_numpy()
    training_labels = np.concatenate([section.obs["region"] for section in train]).astype(str)
    labels, counts = np.unique(training_labels, return_counts=True)
    majority = np.repeat(labels[counts.argmax()], len(truth))
    assert macro_f1(truth, majority) < 0.2
    assert macro_f1(truth, predicted) > 0.6
