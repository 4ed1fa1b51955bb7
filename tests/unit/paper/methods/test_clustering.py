"""Clustering methods: the input of each, and how its results become labels."""

import json
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_mutual_info_score

from gest.baselines import registry
from gest.data.tokenize import tokenize
from gest.errors import UserError
from gest.paper.methods import clustering, clustering_packaged
from gest.paper.methods.clustering import cut_representations, represent
from gest.paper.methods.representations import Representation, read_representations, write_representations
from gest.tasks.embed import embed_tokens

SETTINGS = {"seeds": [0, 1], "levels": ["division", "region"], "windows": [150, 300], "continued_steps": 3}


@pytest.fixture
def packaged(monkeypatch):
    """Replace packaged methods by a function that returns an embedding or groups, and record its input."""
    inputs = {}

    def run_packaged(method, **arrays):
        inputs.update(arrays, method=method)
        n, seeds = len(arrays["xy"]), len(arrays["seeds"])
        output = {"seconds": np.arange(seeds) + 1.0, "peak_mb": np.array(7.0), "version": np.array("Package 1.0")}
        if method == "spagcn":
            return output | {"labels": np.zeros((seeds, len(arrays["n_clusters"]), n), dtype=int)}
        return output | {"embedding": np.tile(np.arange(n, dtype=np.float32)[None, :, None], (seeds, 1, 3))}

    monkeypatch.setattr(clustering_packaged, "run_packaged", run_packaged)
    return inputs


def test_gest_is_embedded_once_per_window_model_and_seed(sections, model):
    runs = represent(sections[0], "gest", models=[model], **SETTINGS)
    assert [(run.variant, run.seed) for run in runs] == [("150", 0), ("300", 0), ("150", 1), ("300", 1)]
    expected = embed_tokens(model, tokenize(sections[0], model.vocabulary), window=150, seed=1)
    np.testing.assert_array_equal(runs[2].embedding, expected)
    assert all(run.seconds > 0 and run.status == "ok" for run in runs)


@pytest.mark.slow
def test_continued_training_changes_the_embedding_and_not_the_model(sections, model):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    zero_shot, continued = (
        represent(sections[0], method, models=[model], **SETTINGS)[0] for method in ("gest", "gest_continued")
    )
    assert np.abs(zero_shot.embedding - continued.embedding).max() > 1e-3
    assert all((before[name] == weight).all() for name, weight in model.state_dict().items())


def test_packages_get_the_counts_and_no_labels(sections, packaged):
    runs = represent(sections[0], "stagate", **SETTINGS)
    counts = csr_matrix((packaged["data"], packaged["indices"], packaged["indptr"]), shape=sections[0].shape)
    assert (counts != sections[0].X).nnz == 0
    np.testing.assert_array_equal(packaged["xy"], sections[0].obsm["spatial"])
    assert set(packaged) == {"method", "data", "indices", "indptr", "genes", "xy", "seeds"}
    assert [(run.seed, run.seconds, run.peak_mb, run.version) for run in runs] == [
        (0, 1.0, 7.0, "Package 1.0"),
        (1, 2.0, 7.0, "Package 1.0"),
    ]


def test_spagcn_gets_the_number_of_labels(sections, packaged):
    (run, _) = represent(sections[0], "spagcn", **SETTINGS)
    assert packaged["n_clusters"].tolist() == [sections[0].obs[level].nunique() for level in SETTINGS["levels"]]
    assert run.embedding is None
    assert set(run.groups) == set(SETTINGS["levels"])


def test_a_section_above_the_limit_is_sub_sampled(sections, packaged):
    (run, _) = represent(sections[0], "graphst", limits={"graphst": 200}, **SETTINGS)
    assert len(packaged["xy"]) == 200
    assert run.status == "sub-sampled to 200 of 500 cells"
    covered = np.isfinite(run.embedding).all(1)
    assert covered.sum() == 200
    np.testing.assert_array_equal(packaged["xy"], sections[0].obsm["spatial"][covered])
    assert run.embedding[covered][:, 0].tolist() == list(range(200)), "rows go back to their own cells"
    labels = cut_representations([run], sections[0], levels=["region"], algorithm="kmeans")[0].labels
    np.testing.assert_array_equal(labels != "", covered)


def test_a_package_that_fails_says_why_in_its_rows(sections, monkeypatch):
    def fails(method, **arrays):
        raise UserError(f"{method}: it ran out of memory.")

    monkeypatch.setattr(clustering_packaged, "run_packaged", fails)
    runs = represent(sections[0], "graphst", **SETTINGS)
    assert [run.status for run in runs] == ["graphst: it ran out of memory; it was given 500 cells."] * 2
    labels = cut_representations(runs, sections[0], levels=["region"], algorithm="leiden")
    assert all((run.labels == "").all() for run in labels)


def test_raw_is_the_principal_components_of_log_expression(sections):
    (run, _) = represent(sections[0], "raw", **SETTINGS)
    expected = sections[0].copy()
    sc.pp.normalize_total(expected)
    sc.pp.log1p(expected)
    centred = expected.X.toarray() - expected.X.toarray().mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    assert run.embedding.shape == (500, 39)
    np.testing.assert_allclose(np.linalg.norm(run.embedding, axis=0), singular[:39], rtol=1e-4)


def test_shuffled_labels_agree_with_the_truth_by_chance(sections):
    section = sections[0].copy()
    section.obs.loc[section.obs_names[:50], "region"] = np.nan
    runs = represent(section, "shuffled", **SETTINGS)
    labels = cut_representations(runs, section, levels=["region"], algorithm="leiden")
    for run in labels:
        assert (run.labels[:50] == "").all()
        assert len(set(run.labels[50:])) == section.obs["region"].nunique()
        assert abs(adjusted_mutual_info_score(section.obs["region"][50:], run.labels[50:])) < 0.05
    assert (labels[0].labels != labels[1].labels).any()


@pytest.mark.slow
def test_every_method_but_the_packaged_ones_is_reproducible(sections, model):
    for method in sorted(set(registry.names("clustering")) - set(registry.packaged_names("clustering"))):
        a, b = (represent(sections[0], method, models=[model], **SETTINGS | {"seeds": [3]})[0] for _ in "ab")
        if a.embedding is None:
            assert all((a.groups[level] == b.groups[level]).all() for level in a.groups)
        else:
            assert a.embedding.tobytes() == b.embedding.tobytes()


def test_representations_are_kept_whole(sections, packaged, tmp_path):
    failed = Representation(method="graphst", seed=2, status="it failed")
    for method in ("graphst", "spagcn"):
        runs = [*represent(sections[0], method, limits={"graphst": 200}, **SETTINGS), replace(failed, method=method)]
        path = tmp_path / f"{method}.h5ad"
        write_representations(runs, sections[0], path)
        for written, read in zip(runs, read_representations(path, sections[0], method), strict=True):
            np.testing.assert_equal(vars(read), vars(written))
    with pytest.raises(UserError, match=r"spagcn\.h5ad: its 500 cells are not the 500 cells of the section"):
        read_representations(path, sections[1], "spagcn")


def test_the_file_of_representations_lists_its_runs(sections, packaged, tmp_path):
    write_representations(represent(sections[0], "spagcn", **SETTINGS), sections[0], tmp_path / "made.h5ad")
    first, _ = json.loads(ad.read_h5ad(tmp_path / "made.h5ad").uns["representations"])
    assert first == {
        "variant": "default",
        "model_seed": None,
        "seed": 0,
        "embedding": None,
        "groups": {"division": "0 division", "region": "0 region"},
        "seconds": 1.0,
        "peak_mb": 7.0,
        "version": "Package 1.0",
        "status": "ok",
    }


def test_a_level_without_labels_is_not_cut(sections, packaged):
    section = sections[0].copy()
    section.obs["region"] = pd.Categorical([None] * 500, categories=["a"])
    runs = represent(section, "spagcn", **SETTINGS)
    assert packaged["n_clusters"].tolist() == [section.obs["division"].nunique()]
    of_division, of_region = cut_representations(runs[:1], section, levels=SETTINGS["levels"], algorithm="leiden")
    assert (of_division.labels != "").all()
    assert (of_region.labels == "").all()
    assert of_region.status == "no cell of the section has a label of 'region'"


def test_what_cannot_be_cut_says_why_in_its_row(sections, monkeypatch):
    def fails(*_, **__):
        raise UserError("R's mclust did not make 4 clusters.")

    monkeypatch.setattr(clustering, "cluster", fails)
    runs = represent(sections[0], "coordinates", **SETTINGS)
    labels = cut_representations(runs, sections[0], levels=["region"], algorithm="mclust")
    assert [run.status for run in labels] == ["R's mclust did not make 4 clusters."] * 2


def test_training_that_diverges_says_so_in_its_rows(sections, model, monkeypatch):
    def diverges(*_, **__):
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr(clustering, "finetune", diverges)
    runs = represent(sections[0], "gest_continued", models=[model], **SETTINGS)
    assert [(run.variant, run.status) for run in runs[:2]] == [("150", "the loss is nan"), ("300", "the loss is nan")]


def test_mistakes_are_refused(sections):
    with pytest.raises(UserError, match="obs of section s0 has no level 'layer'"):
        represent(sections[0], "raw", **SETTINGS | {"levels": ["layer"]})
    with pytest.raises(UserError, match=r"clustering: unknown method 'bayesspace' \(choose gest, "):
        represent(sections[0], "bayesspace", **SETTINGS)
    normalised = sections[0].copy()
    normalised.uns["gest"] = {"x": "normalised"}
    with pytest.raises(UserError, match="graphst: needs counts"):
        represent(normalised, "graphst", **SETTINGS)
