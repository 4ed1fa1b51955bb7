"""Perturbation: kernels, generation against `gest.generate`, controls, a planted effect, the command line."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from helpers import TINY

import gest
from gest import GeST
from gest.data.sources.simulate import simulate
from gest.data.tokenize import expression
from gest.errors import UserError
from gest.pl.perturbation import draw_perturbation, strongest
from gest.roi import Circle, Label, Mask, Polygon
from gest.tasks.generation.rounds import generate_tokens
from gest.tasks.perturbation import controls as perturb_controls
from gest.tasks.perturbation.controls import controls, sensitivity
from gest.tasks.perturbation.perturb import change, compare, perturb
from gest.tasks.perturbation.surroundings import Surroundings
from gest.training.vocabulary import fit_sections

ROI = Circle(200, 200, 80)
CHANGES = {"activate": ["gene_1", "gene_4"], "inhibit": ["gene_2", "gene_8", "gene_9"]}


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A model that was trained for seconds, and the path of its directory."""
    tissue = {"n_cells": 1500, "width_um": 1000, "height_um": 800, "n_genes": 60, "seed": 1}
    sections = [simulate(f"s{i}", donor="a", slice=i, **tissue) for i in range(2)]
    vocabulary = fit_sections(sections, {"n_metacells": 40, "n_components": 20})
    training = {"steps": 150, "batch_size": 4, "learning_rate": 3e-3, "warmup_steps": 20}
    config = {"window": 300, "model": {"layers": 2, "heads": 2, "width": 32}, "pretraining": training}
    path = tmp_path_factory.mktemp("learnt") / "model"
    return gest.pretrain(sections, vocabulary, config, out=path), simulate("t", donor="b", slice=0.4, **tissue), path


def test_kernels_have_their_closed_forms():
    sigma = 30.0
    half = sigma * np.sqrt(2 * np.log(2))  # where the kernel is a half
    offsets = np.array([[0, 0], [half, 0], [-half, 0], [0, 3000], [0, -3000]])
    xy = offsets + np.array([500, 700])
    profiles = np.tile([1.0, 2.0, 3.0], (5, 1))
    changed = change(profiles, xy, activated=np.array([0]), inhibited=np.array([2]), sigma=sigma, maximum=8)
    np.testing.assert_allclose(changed[:, 0], [8, 4, 4, 0, 0], atol=1e-12)  # far away what is activated falls
    np.testing.assert_allclose(changed[:, 2], [0, 1.5, 1.5, 3, 3], atol=1e-12)
    assert (changed[:, 1] == 2).all()
    assert (profiles == [1, 2, 3]).all()


@pytest.mark.parametrize("context", ["roi", "tissue"])
def test_no_gene_changed_is_exactly_no_difference(sections, model, context):
    result = perturb(sections[0], model, roi=ROI, context=context)
    assert result.control.tobytes() == result.perturbed.tobytes()
    assert (result.deg["call"] == "n.s.").all()
    assert (result.deg["p"] == 1).all()
    assert result.summary["metacells_changed"] == 0


def test_surroundings_are_the_cells_in_a_window_of_the_region(sections, model):
    result = perturb(sections[0], model, roi=ROI, **CHANGES)
    xy = sections[0].obsm["spatial"]
    inside = np.linalg.norm(xy - (200, 200), axis=1) <= 80
    near = (np.abs(xy[:, None] - xy[inside]) <= model.config.window / 2).all(2).any(1)
    np.testing.assert_array_equal(result.roi, np.flatnonzero(inside))
    np.testing.assert_array_equal(result.surroundings, np.flatnonzero(near & ~inside))
    assert result.control.shape == result.perturbed.shape == (len(result.surroundings), 40)


@pytest.mark.parametrize("context", ["roi", "tissue"])
def test_the_control_is_what_generate_gives(sections, model, context):
    result = perturb(sections[0], model, roi=ROI, context=context, seed=3, **CHANGES)
    hidden = np.isin(np.arange(sections[0].n_obs), result.surroundings)
    kept = hidden | np.isin(np.arange(len(hidden)), result.roi) | (context == "tissue")
    part = gest.generate(sections[0][kept].copy(), model, unseen=hidden[kept], seed=3)
    assert (part.obs["gest_round"][hidden[kept]] == 1).all()
    np.testing.assert_allclose(result.control, part.layers["gest"][hidden[kept]], atol=1e-6)


def test_the_perturbed_profiles_pass_algorithm_2(sections, model, vocabulary):
    """Everything between the counts and the tokens by hand."""
    adata = sections[0]
    result = perturb(adata, model, roi=ROI, sigma=50, seed=2, **CHANGES)
    known = expression(adata, vocabulary).toarray()
    xy, roi = adata.obsm["spatial"], result.roi
    kernel = np.exp(-((xy[roi] - xy[roi].mean(0)) ** 2).sum(1) / 5000)
    changed = known[roi].copy()
    for name in CHANGES["activate"]:
        changed[:, list(vocabulary.genes).index(name)] = known.max() * kernel
    for name in CHANGES["inhibit"]:
        changed[:, list(vocabulary.genes).index(name)] *= 1 - kernel
    tokens = np.full(adata.n_obs, -1)
    points = (changed - vocabulary.mean) @ vocabulary.components.T
    tokens[roi] = ((points[:, None] - vocabulary.pca) ** 2).sum(-1).argmin(1)
    cells = np.sort(np.append(roi, result.surroundings))
    made = generate_tokens(model, xy[cells], tokens[cells], seed=2)
    np.testing.assert_allclose(result.perturbed, made.means @ vocabulary.expression, atol=1e-5)
    assert np.abs(result.perturbed - result.control).max() > 0

    before = vocabulary.tokenize(known[roi])
    assert result.summary["metacells_changed"] == np.mean(before != tokens[roi]) > 0
    table = result.deg.set_index("gene")
    assert (table.loc[CHANGES["activate"], "changed"] == "activated").all()
    assert (table.loc[CHANGES["inhibit"], "changed"] == "inhibited").all()
    assert (table["changed"] != "").sum() == 5
    fell = [np.mean(known.max() * kernel < known[roi][:, list(vocabulary.genes).index(g)]) for g in CHANGES["activate"]]
    np.testing.assert_allclose(table.loc[CHANGES["activate"], "fell"], fell)
    assert result.summary["activated_fell"] == pytest.approx(np.mean(fell))
    assert table["fell"].notna().sum() == 2
    shift = vocabulary.expression[tokens[roi]].mean(0) - vocabulary.expression[before].mean(0)
    np.testing.assert_allclose(table["roi_log2_fold_change"], shift / np.log(2), atol=1e-5)


def test_tissue_around_adds_estimates_that_the_change_does_not_touch(learnt):
    """So that the difference is that of the region alone, times the share of estimates that the region makes."""
    model, section, _ = learnt
    alone, within = (Surroundings(section, model, roi=Circle(300, 250, 80), context=c) for c in ("roi", "tissue"))
    xy, outside = alone.xy, np.setdiff1d(np.arange(section.n_obs), np.append(alone.roi, alone.cells))
    by_roi, by_tissue = ((np.abs(xy[alone.cells][:, None] - xy[c]) <= 150).all(2).sum(1) for c in (alone.roi, outside))
    changes = {"activate": ["gene_1"], "inhibit": ["gene_2", "gene_4", "gene_8"]}
    made = [compare(around, **changes) for around in (alone, within)]
    differences = [result.perturbed - result.control for result in made]
    expected = differences[0] * (by_roi / (by_roi + by_tissue))[:, None]
    assert np.abs(differences[1]).max() > 0.05
    np.testing.assert_allclose(differences[1], expected, atol=0.01)  # orders of cells are drawn anew


def test_far_from_the_centre_an_activated_gene_falls(sections, model):
    wide, narrow = (perturb(sections[0], model, roi=ROI, sigma=s, **CHANGES).summary for s in (1000, 10))
    assert wide["activated_fell"] == 0
    assert narrow["activated_fell"] > 0.2


def test_sigma_is_half_the_diameter_if_not_given(sections, model):
    assert perturb(sections[0], model, roi=ROI).summary["sigma"] == 80
    square = Polygon([[150, 150], [250, 150], [250, 250], [150, 250]])
    xy = sections[0].obsm["spatial"]
    xy = xy[((xy >= 150) & (xy <= 250)).all(1)]
    farthest = np.linalg.norm(xy - xy.mean(0), axis=1).max()
    assert perturb(sections[0], model, roi=square).summary["sigma"] == pytest.approx(farthest)


def test_same_seed_same_bytes(sections, model):
    before = sections[0].copy()
    a, b, c = (perturb(sections[0], model, roi=ROI, seed=s, **CHANGES) for s in (1, 1, 2))
    assert a.perturbed.tobytes() == b.perturbed.tobytes() != c.perturbed.tobytes()
    pd.testing.assert_frame_equal(a.deg, b.deg)
    assert (sections[0].X != before.X).nnz == 0
    assert list(sections[0].obs) == list(before.obs)
    assert not sections[0].layers


def test_the_surroundings_own_expression_is_not_seen(sections, model):
    first = perturb(sections[0], model, roi=ROI, context="tissue", **CHANGES)
    other = sections[0].copy()
    x = other.X.toarray()
    x[first.surroundings] = 1
    other.X = sp.csr_matrix(x)
    again = perturb(other, model, roi=ROI, context="tissue", **CHANGES)
    assert first.summary["maximum"] == again.summary["maximum"]  # it lies elsewhere
    assert first.perturbed.tobytes() == again.perturbed.tobytes()


def test_genes_go_by_symbol_and_by_ensembl_id(sections, model):
    other = sections[0].copy()
    other.var["symbol"] = other.var_names
    other.var_names = [f"ENSMUSG{i:011d}" for i in range(40)]
    first = perturb(sections[0], model, roi=ROI, activate=["gene_3"])
    for name in ("gene_3", "ENSMUSG00000000002"):
        result = perturb(other, model, roi=ROI, activate=[name])
        assert result.perturbed.tobytes() == first.perturbed.tobytes()
        assert result.deg.query("changed == 'activated'")["gene"].tolist() == ["ENSMUSG00000000002"]
    with pytest.raises(UserError, match="'marker' is not among"):  # a kind of gene is no name
        perturb(other, model, roi=ROI, activate=["marker"])


def test_regions_of_every_kind_give_the_same(sections, model):
    adata = sections[0].copy()
    mask = np.linalg.norm(adata.obsm["spatial"] - (200, 200), axis=1) <= 80
    adata.obs["chosen"], adata.obs["part"] = mask, np.where(mask, "core", "rest")
    made = [perturb(adata, model, roi=roi, sigma=80, **CHANGES).perturbed.tobytes()
            for roi in (ROI, Mask(mask), Mask("chosen"), Label("part", "core"))]  # fmt: skip
    assert len(set(made)) == 1


def test_cells_without_counts_take_no_part(sections, model):
    adata = sections[0].copy()
    x = adata.X.toarray()
    x[::5] = 0
    adata.X = sp.csr_matrix(x)
    with pytest.warns(UserWarning, match="100 cells have no counts"):
        result = perturb(adata, model, roi=ROI, **CHANGES)
    kept = np.arange(500) % 5 > 0
    without = perturb(adata[kept].copy(), model, roi=ROI, **CHANGES)
    np.testing.assert_array_equal(result.perturbed, without.perturbed)
    np.testing.assert_array_equal(result.surroundings, np.flatnonzero(kept)[without.surroundings])


def test_a_model_without_quantisation(sections, vocabulary):
    torch.manual_seed(0)
    continuous = GeST(TINY | {"model": TINY["model"] | {"quantised": False}}, vocabulary).eval()
    result = perturb(sections[0], continuous, roi=ROI, **CHANGES)
    assert np.abs(result.perturbed - result.control).max() > 0
    table = result.deg.set_index("gene")
    known = expression(sections[0], vocabulary)[result.roi].toarray()
    assert table.loc["gene_2", "roi_log2_fold_change"] < 0
    assert table.loc["gene_2", "roi_log2_fold_change"] > -known[:, 1].mean() / np.log(2)
    assert table.loc["gene_3", "roi_log2_fold_change"] == 0
    nothing = perturb(sections[0], continuous, roi=ROI)
    assert nothing.control.tobytes() == nothing.perturbed.tobytes()


def test_a_planted_effect_has_its_direction(learnt):
    """Make a region's cells one type by its markers: genes that answer to that type's share nearby rise around it."""
    model, section, _ = learnt
    var, rose, others = section.var, [], []
    for place in ((300, 250), (700, 550)):
        around = Surroundings(section, model, roi=Circle(*place, 100))
        for kind in var.query("kind == 'marker'")["cell_type"].unique():
            markers = var.index[(var["kind"] == "marker") & (var["cell_type"] == kind)]
            rest = var.index[(var["kind"] == "marker") & (var["cell_type"] != kind)]
            result = compare(around, activate=markers, inhibit=rest)
            answers = ((var["kind"] == "neighbour") & (var["cell_type"] == kind)).to_numpy()
            rose += result.deg["log2_fold_change"][answers].tolist()
            others += result.deg["log2_fold_change"][(var["kind"] == "null").to_numpy()].tolist()
    assert len(rose) >= 10
    assert np.mean(np.array(rose) > 0) >= 0.7
    assert np.median(rose) > 5 * np.abs(np.median(others))
    assert np.max(np.abs(others)) < 0.1  # genes that answer to nothing are never called


def test_controls(learnt):
    model, section, _ = learnt
    for context in ("roi", "tissue"):
        around = Surroundings(section, model, roi=Circle(150, 150, 60), context=context)
        result = compare(around, activate=["gene_1"], inhibit=["gene_2", "gene_4"])
        table = controls(around, result, n_shuffles=2)
        assert table["control"].tolist() == ["nothing changed", "distant", "shuffled names", "shuffled names"]
        assert (table["status"] == "ok").all()
        zero = table.iloc[:2]
        assert (zero[["max_difference", "n_called"]] == 0).all(axis=None)
        assert zero["metacells_changed"].tolist()[0] == 0
        assert zero["metacells_changed"].tolist()[1] > 0.1  # something was changed out there
        assert (table["max_difference"][2:] > 0).all()
        assert table["agreement"][2:].between(0, 1).all()
        assert table["chance"][2:].between(0, 1).all()


def test_the_distant_control_fails_within_reach(learnt, monkeypatch):
    model, section, _ = learnt
    around = Surroundings(section, model, roi=Circle(150, 150, 60), context="tissue")
    result = compare(around, activate=["gene_1"], inhibit=["gene_2", "gene_4"])
    monkeypatch.setattr(perturb_controls, "_distant_cells", lambda around: around.roi)
    assert controls(around, result, n_shuffles=0).set_index("control").loc["distant", "max_difference"] > 0


def test_distant_cells_are_in_no_window(learnt):
    model, section, _ = learnt
    xy = section.obsm["spatial"]
    for context, reach in (("roi", 150), ("tissue", 300)):
        around = Surroundings(section, model, roi=Circle(150, 150, 60), context=context)
        far = perturb_controls._distant_cells(around)
        assert len(far) == len(around.roi)
        gap = np.abs(xy[far][:, None] - xy[around.cells]).max(2).min()
        assert gap > reach


def test_a_section_too_small_for_the_distant_control(sections, model):
    around = Surroundings(sections[0], model, roi=Circle(350, 300, 150), context="tissue")
    table = controls(around, compare(around, **CHANGES), n_shuffles=0).set_index("control")
    assert "too small" in table.loc["distant", "status"]


def test_sensitivity_over_sigma(sections, model):
    around = Surroundings(sections[0], model, roi=ROI)
    table = sensitivity(around, compare(around, **CHANGES), sigmas=[20, 80])
    assert table.groupby("sigma").size().to_dict() == {20: 40, 80: 40}
    for sigma in (20, 80):
        alone = perturb(sections[0], model, roi=ROI, sigma=sigma, **CHANGES)
        part = table[table["sigma"] == sigma][alone.deg.columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, alone.deg)
    assert table["activated_fell"].iloc[0] >= table["activated_fell"].iloc[-1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"activate": ["gene_99"]}, r"'gene_99' is not among the model's 40 \(similar names: gene_9"),
        ({"inhibit": ["Gad1"]}, "'Gad1' is not among the model's 40"),
        ({"activate": ["gene_1"], "inhibit": ["gene_2", "gene_1"]}, "'gene_1' is to be both activated and inhibited"),
        ({"sigma": 0}, "sigma is 0 µm"),
        ({"sigma": -3.5}, "sigma is -3.5 µm"),
        ({"context": "all"}, r"unknown context 'all' \(choose roi or tissue\)"),
        ({"roi": Circle(-900, 0, 10)}, "holds no cell"),
        ({"roi": Circle(350, 300, 1000)}, "no cell outside the circle"),
        ({"q": 2}, "q is 2"),
        ({"min_lfc": -1}, "min_lfc is -1"),
    ],
)
def test_user_errors(sections, model, given, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        perturb(sections[0], model, **{"roi": ROI} | given)
    assert "\n" not in str(raised.value)


def test_lone_cells_and_cells_without_counts(sections, model):
    adata = sections[0].copy()
    adata.obsm["spatial"][0] = (9000, 9000)
    with pytest.raises(UserError, match=r"no cell outside the circle .* 150 µm to each side"):
        perturb(adata, model, roi=Circle(9000, 9000, 5))
    adata.X = sp.csr_matrix(adata.X.toarray() * (np.arange(500) > 0)[:, None])
    with pytest.raises(UserError, match=r"none of the 1 cells in the circle .* has counts"):
        perturb(adata, model, roi=Circle(9000, 9000, 5))
    with pytest.raises(UserError, match="sigma is 0 µm"):
        perturb(sections[0], model, roi=Mask(np.arange(500) == 7))  # one cell has no diameter


def test_the_map_shows_what_it_was_given(rng):
    xy = rng.uniform(0, 100, (30, 2))
    roi, around = np.arange(5), np.arange(5, 25)
    control, perturbed = rng.random((2, 20, 2))
    figure = draw_perturbation(xy, roi, around, control, perturbed, ["a", "b"], notes=["High", "Low"])
    panels = [ax for ax in figure.axes if len(ax.collections) == 2 and ax.collections[0].get_array() is not None]
    assert len(panels) == 6
    shown = [ax.collections[0].get_array() for ax in panels]
    for row in range(2):
        for at, values in enumerate((control, perturbed, perturbed - control)):
            np.testing.assert_array_equal(shown[3 * row + at], values[:, row])
        left, right = panels[3 * row].collections[0], panels[3 * row + 1].collections[0]
        assert left.get_clim() == right.get_clim()
        low, high = panels[3 * row + 2].collections[0].get_clim()
        assert low == -high
    np.testing.assert_array_equal(panels[0].collections[1].get_offsets(), xy[roi])


def test_strongest_are_not_those_that_were_changed():
    deg = pd.DataFrame(
        {"gene": list("abcde"), "log2_fold_change": [3, 1, 0, -1, -2.0], "changed": ["up", "", "", "", ""]}
    )
    assert strongest(deg, 1) == ["b", "e"]
    assert strongest(deg, 3) == ["b", "c", "d", "e"]


def test_from_the_command_line(learnt, tmp_path, monkeypatch, verb):
    model, section, path = learnt
    monkeypatch.chdir(tmp_path)
    section.write_h5ad("mine.h5ad")
    common = ("mine.h5ad", "--model", path, "--activate", "gene_1", "--inhibit", "gene_2", "--inhibit", "gene_4")
    verb("perturb", *common, "--roi-circle", 250, 250, 60, "--out", "a", "--seed", 1)
    names = ["controls.csv", "deg.csv", "map.png", "perturbation.h5ad", "sensitivity.csv", "summary.json"]
    assert sorted(found.name for found in (tmp_path / "a").iterdir()) == names
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
