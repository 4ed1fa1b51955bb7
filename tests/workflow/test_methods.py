"""The workflow lists methods without importing gest: its lists are those of the package."""

import runpy
from pathlib import Path

from gest.baselines.packaged import ENVIRONMENTS
from gest.paper.methods import annotation, clustering
from gest.paper.methods import generation as holdout

RULES = Path(__file__).parents[2] / "workflow" / "rules"


def test_the_workflow_knows_the_methods_of_the_package():
    listed = runpy.run_path(str(RULES / "configuration.smk"))
    assert listed["METHODS"] == holdout.METHODS
    assert set(listed["LABELLING"]["clustering"]) == set(clustering.METHODS)
    assert set(listed["LABELLING"]["annotation"]) == set(annotation.METHODS)
    assert listed["MODEL_METHODS"] == clustering.MODEL_METHODS
    assert listed["ENVIRONMENTS"] | {"somde": "somde"} == ENVIRONMENTS
