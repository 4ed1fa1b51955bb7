"""Perturbation: its kernels, its generation against `gest.generate`, and a simulated effect."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from helpers import TINY

import gest
from gest import GeST
from gest.data.tokenize import expression
from gest.errors import UserError
from gest.roi import Circle, Label, Mask, Polygon
from gest.tasks.generation.rounds import generate_tokens
from gest.tasks.perturbation.perturb import change, compare, perturb
from gest.tasks.perturbation.surroundings import Surroundings

ROI = Circle(200, 200, 80)


CHANGES = {"activate": ["gene_1", "gene_4"], "inhibit": ["gene_2", "gene_8", "gene_9"]}


def test_kernels_have_their_closed_forms():
    sigma = 30.0
    half = sigma * np.sqrt(2 * np.log(2))  # where the kernel is a half
    offsets = np.array([[0, 0], [half, 0], [-half, 0], [0, 3000], [0, -3000]])
    xy = offsets + np.array([500, 700])
    profiles = np.tile([1.0, 2.0, 3.0], (5, 1))
    changed = change(profiles, xy, activated=np.array([0]), inhibited=np.array([2]), sigma=sigma, maximum=8)
    np.testing.assert_allclose(changed[:, 0], [8, 4, 4, 0, 0], atol=1e-12)  # far away an activated gene falls
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
def test_the_control_equals_generate(sections, model, context):
    result = perturb(sections[0], model, roi=ROI, context=context, seed=3, **CHANGES)
    hidden = np.isin(np.arange(sections[0].n_obs), result.surroundings)
    kept = hidden | np.isin(np.arange(len(hidden)), result.roi) | (context == "tissue")
    generated = gest.generate(sections[0][kept].copy(), model, unseen=hidden[kept], seed=3)
    assert (generated.obs["gest_round"][hidden[kept]] == 1).all()
    np.testing.assert_allclose(result.control, generated.layers["gest"][hidden[kept]], atol=1e-6)


def test_the_perturbed_profiles_pass_algorithm_2(sections, model, vocabulary):
    """The expected result is computed here from the counts to the tokens."""
    adata = sections[0]
    result = perturb(adata, model, roi=ROI, sigma=50, seed=2, **CHANGES)
    profiles = expression(adata, vocabulary).toarray()
    xy, roi = adata.obsm["spatial"], result.roi
    kernel = np.exp(-((xy[roi] - xy[roi].mean(0)) ** 2).sum(1) / 5000)
    changed = profiles[roi].copy()
    for name in CHANGES["activate"]:
        changed[:, list(vocabulary.genes).index(name)] = profiles.max() * kernel
    for name in CHANGES["inhibit"]:
        changed[:, list(vocabulary.genes).index(name)] *= 1 - kernel
    tokens = np.full(adata.n_obs, -1)
    points = (changed - vocabulary.mean) @ vocabulary.components.T
    tokens[roi] = ((points[:, None] - vocabulary.pca) ** 2).sum(-1).argmin(1)
    cells = np.sort(np.append(roi, result.surroundings))
    generated = generate_tokens(model, xy[cells], tokens[cells], seed=2)
    np.testing.assert_allclose(result.perturbed, generated.means @ vocabulary.expression, atol=1e-5)
    assert np.abs(result.perturbed - result.control).max() > 0

    before = vocabulary.tokenize(profiles[roi])
    assert result.summary["metacells_changed"] == np.mean(before != tokens[roi]) > 0
    table = result.deg.set_index("gene")
    assert (table.loc[CHANGES["activate"], "changed"] == "activated").all()
    assert (table.loc[CHANGES["inhibit"], "changed"] == "inhibited").all()
    assert (table["changed"] != "").sum() == 5
    fell = [
        np.mean(profiles.max() * kernel < profiles[roi][:, list(vocabulary.genes).index(g)])
        for g in CHANGES["activate"]
    ]
    np.testing.assert_allclose(table.loc[CHANGES["activate"], "fell"], fell)
    assert result.summary["activated_fell"] == pytest.approx(np.mean(fell))
    assert table["fell"].notna().sum() == 2
    shift = vocabulary.expression[tokens[roi]].mean(0) - vocabulary.expression[before].mean(0)
    np.testing.assert_allclose(table["roi_log2_fold_change"], shift / np.log(2), atol=1e-5)


@pytest.mark.slow
def test_tissue_around_adds_estimates_that_the_change_does_not_touch(learnt):
    """The difference is that from the region alone, times the share of estimates that come from the region."""
    model, section, _ = learnt
    region_only, with_tissue = (
        Surroundings(section, model, roi=Circle(300, 250, 80), context=c) for c in ("roi", "tissue")
    )
    xy, outside = region_only.xy, np.setdiff1d(np.arange(section.n_obs), np.append(region_only.roi, region_only.cells))
    by_roi, by_tissue = (
        (np.abs(xy[region_only.cells][:, None] - xy[c]) <= 150).all(2).sum(1) for c in (region_only.roi, outside)
    )
    changes = {"activate": ["gene_1"], "inhibit": ["gene_2", "gene_4", "gene_8"]}
    results = [compare(surroundings, **changes) for surroundings in (region_only, with_tissue)]
    differences = [result.perturbed - result.control for result in results]
    expected = differences[0] * (by_roi / (by_roi + by_tissue))[:, None]
    assert np.abs(differences[1]).max() > 0.05
    np.testing.assert_allclose(differences[1], expected, atol=0.01)  # the orders of cells differ


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


def test_the_expression_of_the_surroundings_is_not_seen(sections, model):
    first = perturb(sections[0], model, roi=ROI, context="tissue", **CHANGES)
    other = sections[0].copy()
    x = other.X.toarray()
    x[first.surroundings] = 1
    other.X = sp.csr_matrix(x)
    second = perturb(other, model, roi=ROI, context="tissue", **CHANGES)
    assert first.summary["maximum"] == second.summary["maximum"]  # the maximum lies elsewhere
    assert first.perturbed.tobytes() == second.perturbed.tobytes()


def test_genes_go_by_symbol_and_by_ensembl_id(sections, model):
    other = sections[0].copy()
    other.var["symbol"] = other.var_names
    other.var_names = [f"ENSMUSG{i:011d}" for i in range(40)]
    first = perturb(sections[0], model, roi=ROI, activate=["gene_3"])
    for name in ("gene_3", "ENSMUSG00000000002"):
        result = perturb(other, model, roi=ROI, activate=[name])
        assert result.perturbed.tobytes() == first.perturbed.tobytes()
        assert result.deg.query("changed == 'activated'")["gene"].tolist() == ["ENSMUSG00000000002"]
    with pytest.raises(UserError, match="'marker' is not among"):  # a kind of gene is not a name
        perturb(other, model, roi=ROI, activate=["marker"])


def test_regions_of_every_kind_give_the_same(sections, model):
    adata = sections[0].copy()
    mask = np.linalg.norm(adata.obsm["spatial"] - (200, 200), axis=1) <= 80
    adata.obs["chosen"], adata.obs["part"] = mask, np.where(mask, "core", "rest")
    results = [perturb(adata, model, roi=roi, sigma=80, **CHANGES).perturbed.tobytes()
               for roi in (ROI, Mask(mask), Mask("chosen"), Label("part", "core"))]  # fmt: skip
    assert len(set(results)) == 1


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
    profiles = expression(sections[0], vocabulary)[result.roi].toarray()
    assert table.loc["gene_2", "roi_log2_fold_change"] < 0
    assert table.loc["gene_2", "roi_log2_fold_change"] > -profiles[:, 1].mean() / np.log(2)
    assert table.loc["gene_3", "roi_log2_fold_change"] == 0
    nothing = perturb(sections[0], continuous, roi=ROI)
    assert nothing.control.tobytes() == nothing.perturbed.tobytes()


def test_a_planted_effect_has_its_direction(learnt):
    """Activating the markers of a cell type in a region raises, around it, the genes that respond to that type."""
    model, section, _ = learnt
    var, rose, others = section.var, [], []
    for centre in ((300, 250), (700, 550)):
        surroundings = Surroundings(section, model, roi=Circle(*centre, 100))
        for kind in var.query("kind == 'marker'")["cell_type"].unique():
            markers = var.index[(var["kind"] == "marker") & (var["cell_type"] == kind)]
            rest = var.index[(var["kind"] == "marker") & (var["cell_type"] != kind)]
            result = compare(surroundings, activate=markers, inhibit=rest)
            responds = ((var["kind"] == "neighbour") & (var["cell_type"] == kind)).to_numpy()
            rose += result.deg["log2_fold_change"][responds].tolist()
            others += result.deg["log2_fold_change"][(var["kind"] == "null").to_numpy()].tolist()
    assert len(rose) >= 10
    assert np.mean(np.array(rose) > 0) >= 0.7
    assert np.median(rose) > 5 * np.abs(np.median(others))
    assert np.max(np.abs(others)) < 0.1  # genes that respond to no type are never called


@pytest.mark.parametrize(
    ("settings", "sentence"),
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
def test_user_errors(sections, model, settings, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        perturb(sections[0], model, **{"roi": ROI} | settings)
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
