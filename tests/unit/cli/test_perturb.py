"""`gest perturb`: the files it writes, and its errors."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from gest.roi import Circle
from gest.tasks.perturbation.perturb import perturb


def test_from_the_command_line(learnt, tmp_path, monkeypatch, verb):
    model, section, path = learnt
    monkeypatch.chdir(tmp_path)
    section.write_h5ad("mine.h5ad")
    common = ("mine.h5ad", "--model", path, "--activate", "gene_1", "--inhibit", "gene_2", "--inhibit", "gene_4")
    verb("perturb", *common, "--roi-circle", 250, 250, 60, "--out", "a", "--seed", 1)
    names = ["controls.csv", "deg.csv", "map.png", "perturbation.h5ad", "sensitivity.csv", "summary.json"]
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == names
    roi = Circle(250, 250, 60)
    result = perturb(section, model, roi=roi, activate=["gene_1"], inhibit=["gene_2", "gene_4"], seed=1)
    deg = pd.read_csv("a/deg.csv", keep_default_na=False, na_values=[""])
    np.testing.assert_allclose(deg["log2_fold_change"], result.deg["log2_fold_change"])
    assert deg["call"].tolist() == result.deg["call"].tolist()
    cells = ad.read_h5ad("a/perturbation.h5ad")
    np.testing.assert_array_equal(cells.layers["perturbed"], result.perturbed)
    assert list(cells.obs_names) == list(section.obs_names[result.surroundings])
    assert json.loads((tmp_path / "a" / "summary.json").read_text())["n_surroundings"] == len(cells)
    assert (pd.read_csv("a/controls.csv")["max_difference"][:2] == 0).all()
    assert sorted(pd.read_csv("a/sensitivity.csv")["sigma"].unique()) == [30, 60, 120]

    (tmp_path / "p.json").write_text("[[190, 190], [310, 190], [310, 310], [190, 310]]")
    verb("perturb", *common, "--roi-polygon", "p.json", "--out", "b", "--show", "gene_7")
    verb("perturb", *common, "--roi-polygon", (tmp_path / "p.json").read_text(), "--out", "c", "--show", "gene_7")
    for name in names:
        if name != "perturbation.h5ad":
            assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give exactly one of --roi-circle"),
        (("--roi-mask", "a", "--roi-label", "a=b"), "give exactly one of --roi-circle"),
        (("--roi-label", "region"), "is not of the form COLUMN=VALUE"),
        (("--roi-label", "region=moon"), "no cell has obs['region'] = 'moon'"),
        (("--roi-polygon", "nothing.json"), "--roi-polygon: cannot be read as JSON"),
        (("--roi-polygon", "[[0, 0"), "--roi-polygon: cannot be read as JSON"),
        (("--roi-circle", 0, 0, 100, "--activate", "Gad1"), "'Gad1' is not among"),
        (("--roi-circle", 0, 0, 100, "--show", "Gad1"), "'Gad1' is not among"),
        (("--roi-circle", 0, 0, 100, "--sigma", 0), "sigma is 0"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(learnt, tmp_path, monkeypatch, capsys, arguments, sentence, verb):
    monkeypatch.chdir(tmp_path)
    learnt[1].write_h5ad("mine.h5ad")
    capsys.readouterr()
    verb("perturb", "mine.h5ad", "--model", learnt[2], "--out", "o", *arguments, expect=2)
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 1
    assert sentence in shown[0]
    assert not (tmp_path / "o").exists()
