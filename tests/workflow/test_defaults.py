"""config/config.yaml has the paper's settings, and the package's defaults equal them."""

import inspect
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from gest import Config, Vocabulary
from gest.paper.ischemia.reference import find_core_degs
from gest.paper.methods.clustering import represent
from gest.paper.methods.generation import predict_crops
from gest.tasks.annotation.fine_tuning import Settings
from gest.tasks.perturbation.differential import differential
from gest.tasks.perturbation.perturb import perturb


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())


def test_what_the_paper_states(config):
    model, crops = config["model"], config["generation"]["crops"]
    assert (model["layers"], model["heads"], config["window"]) == (8, 8, 600)  # section 4
    assert model["position_bins"] == 200  # A.3
    assert config["loss"]["weights"] == [0.25] * 4  # section 3.4
    assert config["vocabulary"]["hierarchy"] == [15, 10, 5]
    assert (config["serialisation"], model["quantised"], model["spatial"]) == (
        {"order": "ordinal", "sharpness": 1.0},
        True,
        True,
    )
    assert (crops["sides"], config["svg"]) == ([300, 900], {"method": "somde", "top": 200})  # section 4.1
    assert config["ablation"]["svg_top"] == 50  # section 5
    assert config["clustering"]["windows"] == [200, 400]  # Table A.2, besides 600
    assert config["annotation"]["pools"][0] == "mean"  # section 3.5
    liver, stereo = config["datasets"]["liver_cancer"], config["datasets"]["stereo_seq"]
    assert (liver["model"], liver["generation"]["crops"]["nearest"]["n"]) == ({"layers": 4, "heads": 4}, 100)  # A.1
    assert (liver["svg"], stereo["svg"]) == ({"top": 50}, {"top": 50})  # Table A.1
    assert "model" not in stereo, "the default size"
    assert stereo["bin_size"] * stereo["pitch_um"] == 25
    brain = config["datasets"]["mouse_brain"]["parts"]
    assert (brain["mouse1"]["sections"], brain["mouse2"]["sections"]) == (147, 66)
    assert brain["mouse1"]["held_out"]["cells"] == 2_846_908 - 2_839_984
    off = config["model"]["dropout"], config["pretraining"]["thinning"], config["pretraining"]["rotate"]
    assert off == (0, 0, False), "what the paper does not have"


def test_the_packages_defaults_are_the_configurations(config):
    defaults = Config().to_dict()
    defaults["loss"]["weights"] = list(defaults["loss"]["weights"])
    assert defaults == {name: config[name] for name in defaults}
    annotation = asdict(Settings())
    assert annotation.pop("pool") == config["annotation"]["pools"][0]
    assert annotation == {name: config["annotation"][name] for name in annotation}


@pytest.mark.parametrize(
    ("function", "where", "names"),
    [
        (Vocabulary.fit, "vocabulary", ("n_components", "hierarchy")),
        (predict_crops, "generation", ("continued_steps",)),
        (represent, "clustering", ("continued_steps",)),
        (differential, "perturbation.deg", ("q", "min_lfc")),
        (perturb, "perturbation.deg", ("q", "min_lfc")),
        (perturb, "perturbation", ("context",)),
        (find_core_degs, "perturbation.core_degs", ("q", "min_lfc")),
    ],
)
def test_functions_default_to_the_configuration(config, function, where, names):
    for key in where.split("."):
        config = config[key]
    defaults = {name: inspect.signature(function).parameters[name].default for name in names}
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()} == {k: config[k] for k in names}
