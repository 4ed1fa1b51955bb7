"""Fixtures of several rooms that take seconds."""

import pytest

import gest
from gest.data.sources.simulate import simulate
from gest.training.vocabulary import fit_sections


@pytest.fixture(scope="session")
def learnt(tmp_path_factory):
    """A model trained for seconds, a section of another donor, and the directory of the model."""
    tissue = {"n_cells": 1500, "width_um": 1000, "height_um": 800, "n_genes": 60, "seed": 1}
    sections = [simulate(f"s{i}", donor="a", slice=i, **tissue) for i in range(2)]
    vocabulary = fit_sections(sections, {"n_metacells": 40, "n_components": 20})
    training = {"steps": 150, "batch_size": 4, "learning_rate": 3e-3, "warmup_steps": 20}
    config = {"window": 300, "model": {"layers": 2, "heads": 2, "width": 32}, "pretraining": training}
    path = tmp_path_factory.mktemp("learnt") / "model"
    return gest.pretrain(sections, vocabulary, config, out=path), simulate("t", donor="b", slice=0.4, **tissue), path
