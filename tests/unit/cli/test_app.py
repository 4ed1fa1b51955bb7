"""The command line, as users and the workflow call it."""

import json
from importlib.metadata import version

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

from gest.cli.app import app
from gest.paper.scores.table import COLUMNS


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Make a working directory with the JSON files that the workflow would write."""
    monkeypatch.chdir(tmp_path)
    config = {
        "window": 300,
        "vocabulary": {"n_metacells": 20, "n_components": 10},
        "model": {"layers": 1, "heads": 2, "width": 16},
        "pretraining": {"steps": 4, "batch_size": 2, "warmup_steps": 1, "validate_every": 2, "checkpoint_every": 2},
        "generation": {"crops": {"n": 2, "sides": [150, 250], "min_cells": 10}, "continued_steps": 2},
    }
    simulation = {
        "n_cells": 500, "width_um": 700, "height_um": 600, "n_genes": 40,
        "sections": {"a": {"donor": "one"}, "b": {"donor": "two", "slice": 0.5}},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "dataset.json").write_text(json.dumps({"simulation": simulation}))
    (tmp_path / "bad.json").write_text(json.dumps({"simulation": {"cells": 3, "sections": {"a": {"donor": "one"}}}}))
    (tmp_path / "empty.json").write_text("{}")
    return tmp_path


@pytest.mark.slow
def test_from_simulation_to_scores(configured, verb):
    for section in "ab":
        verb("simulate", "--dataset-config", "dataset.json", "--section", section, "--out", f"{section}.h5ad")
    common = ("--config", "config.json")
    verb("vocabulary", "a.h5ad", *common, "--out", "v.npz")
    verb("pretrain", "a.h5ad", "--validation", "b.h5ad", "--vocabulary", "v.npz", *common, "--out", "m")
    verb("paper", "crops", "b.h5ad", *common, "--out", "crops.json")
    verb("paper", "svg", "b.h5ad", "--vocabulary", "v.npz", "--out", "svg.csv")
    for method, learnt in (("gest", ("--model", "m")), ("mean_of_seen", ("--vocabulary", "v.npz"))):
        options = ("--method", method, "--crops", "crops.json", *learnt, *common)
        verb("paper", "predict", "b.h5ad", *options, "--out", "p.h5ad")
        options = ("--section", "b.h5ad", "--vocabulary", "v.npz", "--svg", "svg.csv", "--run", "r", "--dataset", "d")
        verb("paper", "score", "p.h5ad", *options, "--out", f"{method}.csv")
        scores = pd.read_csv(f"{method}.csv")
        assert list(scores.columns) == list(COLUMNS)
        assert set(scores["crop"].astype(str)) == {"0", "1"}
        assert {"rmse_z", "rmse_log", "spearman", "spearman_z"} <= set(scores["metric"])
    means = pd.read_csv("mean_of_seen.csv").query("metric == 'rmse_z' and gene_set == 'all'")
    np.testing.assert_allclose(means["value"], np.sqrt(2))  # constant predictions: r = 0 for every gene

    adata = ad.read_h5ad("b.h5ad")
    adata.obs["hidden"] = adata.obsm["spatial"][:, 0] > 500
    adata.write_h5ad("mine.h5ad")
    verb("generate", "mine.h5ad", "--model", "m", "--unseen", "hidden", "--out", "mine_generated.h5ad")
    assert np.isfinite(ad.read_h5ad("mine_generated.h5ad").layers["gest"]).all()
    assert not list(configured.glob(".*")), "no temporary file is left"


def test_import_of_a_users_file(configured, sections, verb):
    both = ad.concat(sections)
    both.obs["sample"] = both.obs["section"].astype(str)
    both.write_h5ad("mine.h5ad")
    (configured / "mine.json").write_text(
        json.dumps({"source": "anndata", "path": "mine.h5ad", "section_key": "sample"})
    )
    verb("paper", "import", "--dataset-config", "mine.json", "--section", "s1", "--out", "s1.h5ad")
    assert ad.read_h5ad("s1.h5ad").n_obs == sections[1].n_obs


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("simulate", "--dataset-config", "dataset.json", "--section", "z", "--out", "z.h5ad"),
            "('simulation.sections' has a, b)",
        ),
        (("paper", "crops", "nothing.h5ad", "--out", "c.json"), "file not found"),
        (("generate", "nothing.h5ad", "--model", "m", "--unseen", "u", "--out", "o"), "nothing.h5ad: file not found"),
        (
            ("paper", "predict", "a.h5ad", "--method", "gp", "--crops", "c", "--vocabulary", "v.npz", "--out", "p"),
            "a.h5ad: file not found",
        ),
        (
            ("paper", "predict", "a.h5ad", "--method", "gp", "--crops", "c", "--out", "p"),
            "predict: give either --model (for methods of GeST) or --vocabulary",
        ),
        (("simulate", "--dataset-config", "bad.json", "--section", "a", "--out", "z.h5ad"), "unknown key 'cells'"),
        (
            ("paper", "import", "--dataset-config", "bad.json", "--section", "a", "--out", "z.h5ad"),
            "unknown key 'simulation'",
        ),
        (
            ("paper", "import", "--dataset-config", "empty.json", "--section", "a", "--out", "z.h5ad"),
            "'path' is missing",
        ),
        (("vocabulary", "nothing.h5ad", "--out", "v.npz"), "nothing.h5ad: file not found"),
        (
            ("paper", "download", "f", "--folder", "d", "--entry", "no.json", "--receipt", "r", "--page", "p"),
            "no.json: cannot be read as YAML or JSON",
        ),
        (
            ("paper", "download", "f", "--folder", "d", "--entry", "{no", "--receipt", "r", "--page", "p"),
            "download: --entry is not JSON",
        ),
        (
            ("paper", "import-atlas", "--dataset-config", "empty.json", "--part", "m", "--out", "o"),
            "empty.json: unknown part 'm' ('parts' has none)",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(configured, capsys, arguments, sentence, verb):
    before = set(configured.iterdir())
    verb(*arguments, expect=2)
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 1
    assert shown[0].startswith("error: ")
    assert sentence in shown[0]
    assert set(configured.iterdir()) == before


VERBS = dict(get_command(app).commands)
STEPS = VERBS["paper"].commands


@pytest.mark.parametrize("command", [*VERBS.values(), *STEPS.values()], ids=lambda command: command.name)
def test_a_verb_and_its_options_are_each_described_in_one_line(command):
    assert len(command.help.splitlines()[0]) <= 62
    for parameter in command.params:
        text = parameter.help
        assert text, parameter.name
        assert "\n" not in text, parameter.name
        assert len(text) <= 100, parameter.name
        assert text.endswith((".", "…")), parameter.name


def test_help_shows_examples_of_each_verb(capsys, verb):
    for name in VERBS.keys() - {"paper"}:
        verb(name, "--help")
        shown = capsys.readouterr().out
        assert f"  gest {name} " in shown.split("Examples:")[1]


def test_the_steps_of_the_workflow_are_listed_apart(capsys, verb):
    verb()
    verbs = capsys.readouterr().out
    assert verbs.index("\n  prepare ") < verbs.index("\n  embed ") < verbs.index("\n  paper ")
    assert "\n  represent " not in verbs
    verb("paper")
    assert "\n  represent " in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys, verb):
    verb("--version")
    assert capsys.readouterr().out == f"gest {version('gest')}\n"
