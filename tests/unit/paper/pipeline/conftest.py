"""Fixtures: runs of the paper's configuration, of the toy configuration and of others."""

from pathlib import Path

import pytest

from gest.paper.pipeline.configuration import lay_over, read_yaml, with_defaults
from gest.paper.pipeline.run import Run

ROOT = Path(__file__).parents[4]
DEFAULTS = read_yaml(ROOT / "config" / "datasets.yaml", ROOT / "config" / "config.yaml")
SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")


@pytest.fixture(scope="session")
def defaults():
    return DEFAULTS


@pytest.fixture(scope="session")
def make_run():
    """Return a function that makes a run of merged configurations; later ones override earlier ones."""

    def make(*configurations):
        config = {}
        for configuration in configurations:
            lay_over(config, configuration)
        return Run(with_defaults(config, DEFAULTS), defaults=DEFAULTS, schema=SCHEMA)

    return make


@pytest.fixture(scope="session")
def paper(make_run):
    return make_run()


@pytest.fixture(scope="session")
def toy(make_run):
    return make_run(read_yaml(ROOT / "config" / "toy.yaml"))


@pytest.fixture
def brain():
    """Return a configuration with one user's dataset."""
    sections = {"train": ["s1", "s2"], "validation": ["s3"], "test": ["s4"]}
    dataset = {"source": "anndata", "path": "brain.h5ad", "section_key": "slice", "sections": sections}
    return {"run": "mine", "datasets": {"brain": dataset}}
