"""The workflow lists methods without importing gest: its lists are those of the registry."""

import runpy
from pathlib import Path

from gest.baselines import registry

RULES = Path(__file__).parents[2] / "workflow" / "rules"


def test_the_workflow_knows_the_methods_of_the_package():
    listed = runpy.run_path(str(RULES / "configuration.smk"))
    assert listed["METHODS"] == registry.names("generation")
    assert listed["LABELLING"]["clustering"] == registry.names("clustering")
    assert listed["LABELLING"]["annotation"] == registry.names("annotation")
    assert listed["MODEL_METHODS"] == registry.model_names("clustering")
    assert listed["ENVIRONMENTS"] | {"somde": "somde"} == registry.environments()
