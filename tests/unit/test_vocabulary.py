"""The vocabulary, compared with scikit-learn and scanpy."""

import weakref

import numpy as np
import pytest
import scipy.sparse as sp
from anndata import AnnData
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from gest import Vocabulary
from gest._metacells import cluster
from gest.data.tokenize import expression as expression_of
from gest.errors import UserError
from gest.sections import read_section, write_section
from gest.training.vocabulary import fit_sections
from gest.vocabulary import normalise

SETTINGS = {"n_metacells": 20, "n_components": 10, "hierarchy": [6, 4, 2]}


@pytest.fixture
def expression(rng) -> np.ndarray:
    """Draw 600 cells of 12 well-separated types and 40 genes; some values are zero."""
    centres = rng.gamma(1, 2, (12, 40))
    x = centres[rng.integers(0, 12, 600)] + rng.normal(0, 0.15, (600, 40))
    return np.where(x > 0.5, x, 0).astype(np.float32)


@pytest.fixture
def fitted(expression) -> Vocabulary:
    return Vocabulary.fit(expression, n_metacells=12, n_components=8, hierarchy=(6, 4, 2))


def test_pca_equals_scikit_learn(expression, fitted):
    pca = PCA(8, svd_solver="full").fit(expression.astype(np.float64))
    np.testing.assert_allclose(fitted.mean, pca.mean_, atol=1e-6)
    np.testing.assert_allclose(np.abs((fitted.components * pca.components_).sum(1)), 1, atol=1e-6)


def test_clusters_equal_scikit_learn(expression, fitted):
    points = PCA(8, svd_solver="full").fit_transform(expression.astype(np.float64))
    labels = KMeans(12, n_init=10, random_state=0).fit_predict(points)
    assert adjusted_rand_score(labels, fitted.tokenize(expression)) > 0.99


def test_a_meta_cell_is_the_mean_of_its_cells(expression, fitted):
    tokens = fitted.tokenize(expression)
    projected = (expression - fitted.mean) @ fitted.components.T
    for k in range(12):
        np.testing.assert_allclose(fitted.expression[k], expression[tokens == k].mean(0), atol=1e-5)
        np.testing.assert_allclose(fitted.pca[k], projected[tokens == k].mean(0), atol=1e-4)
    np.testing.assert_array_equal(fitted.sizes, np.bincount(tokens))


def test_levels_are_k_means_of_the_meta_cells(fitted):
    assert fitted.levels.shape == (3, 12)
    for labels, k in zip(fitted.levels, (6, 4, 2), strict=True):
        assert set(labels) == set(range(k))
        expected = KMeans(k, n_init=1, random_state=0, tol=0).fit_predict(fitted.pca.astype(np.float64))
        assert adjusted_rand_score(labels, expected) == 1


def test_tokenize_is_the_nearest_meta_cell_in_pca_space(fitted, rng):
    new = rng.gamma(1, 2, (200, 40)).astype(np.float32)
    points = (new - fitted.mean) @ fitted.components.T
    expected = NearestNeighbors(n_neighbors=1).fit(fitted.pca).kneighbors(points, return_distance=False)[:, 0]
    np.testing.assert_array_equal(fitted.tokenize(new), expected)


def test_tokens_are_exact_among_many_close_meta_cells():
    cells = sp.random(3000, 100, 0.1, format="csr", dtype=np.float32, random_state=2)
    fitted = Vocabulary.fit(cells, n_metacells=600, n_components=40)
    points = (cells.toarray().astype(np.float64) - fitted.mean) @ fitted.components.T.astype(np.float64)
    distances = np.stack([((points - centre) ** 2).sum(1) for centre in fitted.pca.astype(np.float64)], axis=1)
    tokens = fitted.tokenize(cells)
    np.testing.assert_allclose(distances[np.arange(3000), tokens], distances.min(1), rtol=1e-9, atol=1e-12)
    assert fitted.tokenize(cells[:0]).shape == (0,)


def test_dense_and_sparse_are_alike(expression, fitted):
    sparse = Vocabulary.fit(sp.csr_matrix(expression), n_metacells=12, n_components=8, hierarchy=(6, 4, 2))
    np.testing.assert_allclose(sparse.expression, fitted.expression, atol=1e-5)
    np.testing.assert_array_equal(sparse.tokenize(sp.csr_matrix(expression)), fitted.tokenize(expression))


def test_blocks_do_not_matter(expression, fitted, monkeypatch):
    monkeypatch.setattr("gest._metacells._CHUNK", 17)
    again = Vocabulary.fit(expression, n_metacells=12, n_components=8, hierarchy=(6, 4, 2))
    np.testing.assert_allclose(again.expression, fitted.expression, atol=1e-5)
    np.testing.assert_array_equal(again.tokenize(expression), fitted.tokenize(expression))


def test_components_and_labels_are_capped_by_the_data(expression):
    small = Vocabulary.fit(expression[:, :5], n_metacells=4, n_components=50)
    assert small.pca.shape == (4, 4)
    assert small.levels.max() < 4


def test_saved_and_loaded(fitted, tmp_path, expression):
    named = Vocabulary.fit(
        expression, n_metacells=3, genes=[f"g{i}" for i in range(40)], normalisation={"target_sum": 5}
    )
    named.save(tmp_path / "v.npz")
    loaded = Vocabulary.load(tmp_path / "v.npz")
    for name in ("expression", "pca", "levels", "genes", "mean", "components", "sizes"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(named, name))
    assert loaded.normalisation == {"target_sum": 5}
    fitted.save(tmp_path / "w.npz")
    assert Vocabulary.load(tmp_path / "w.npz").normalisation is None


def test_same_seed_same_bytes(expression, tmp_path):
    for name in ("a", "b"):
        Vocabulary.fit(expression, n_metacells=30, seed=3).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_normalise_is_scanpys(rng):
    import scanpy as sc

    counts = sp.csr_matrix(rng.poisson(2, (30, 12)).astype(np.float32))
    adata = AnnData(counts.copy())
    sc.pp.normalize_total(adata, target_sum=50)
    sc.pp.log1p(adata)
    np.testing.assert_allclose(normalise(counts, {"target_sum": 50}).toarray(), adata.X.toarray(), rtol=1e-5)


def test_normalise_leaves_empty_cells_empty():
    assert normalise(sp.csr_matrix((2, 3)), {"target_sum": 5}).nnz == 0


def test_sections_are_normalised_by_their_median_total(sections):
    totals = np.concatenate([np.asarray(s.X.sum(1)).ravel() for s in sections])
    fitted = fit_sections(sections, {"n_metacells": 10_000})
    assert fitted.normalisation == {"target_sum": pytest.approx(np.median(totals))}
    assert len(fitted) == len(totals) // 20  # decision 3
    assert list(fitted.genes) == list(sections[0].var_names)


def test_states_are_standardised_over_cells(expression, fitted):
    states = fitted.states(3)[fitted.tokenize(expression)]
    np.testing.assert_allclose(states.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(states.std(0), 1, atol=1e-4)


def test_reestimated_means_follow_the_section(expression, fitted):
    tokens = fitted.tokenize(expression)
    shifted = fitted.reestimate(expression + 1, tokens, prior_cells=0)
    np.testing.assert_allclose(shifted, fitted.expression + 1, atol=1e-4)
    from_one_cell = fitted.reestimate(expression[:1] + 1, tokens[:1], prior_cells=9)
    k = tokens[0]
    np.testing.assert_allclose(from_one_cell[k], 0.9 * fitted.expression[k] + 0.1 * (expression[0] + 1), atol=1e-4)
    others = np.arange(12) != k
    np.testing.assert_allclose(from_one_cell[others], fitted.expression[others], rtol=1e-6)


@pytest.fixture(scope="session")
def files(sections, tmp_path_factory) -> list:
    folder = tmp_path_factory.mktemp("sections")
    for section in sections:
        write_section(section, folder / f"{section.obs['section'].iloc[0]}.h5ad")
    return sorted(folder.iterdir())


def test_files_give_the_bytes_that_their_sections_give(sections, files):
    fitted = fit_sections(files, SETTINGS, seed=2)
    assert fitted.digest() == fit_sections(sections, SETTINGS, seed=2).digest()
    assert fitted.digest() == fit_sections([sections[0], str(files[1])], SETTINGS, seed=2).digest()
    assert fitted.digest() != fit_sections(files, SETTINGS, seed=3).digest()


def test_sections_give_what_their_stacked_matrix_gives(sections, files):
    fitted = fit_sections(files, SETTINGS)
    stacked = normalise(sp.vstack([section.X for section in sections]), fitted.normalisation)
    whole = Vocabulary.fit(stacked, **SETTINGS)
    for name in ("levels", "sizes"):
        np.testing.assert_array_equal(getattr(fitted, name), getattr(whole, name))
    for name in ("mean", "components", "pca", "expression"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(whole, name), atol=1e-6)


def test_files_are_not_held_together(sections, files, monkeypatch):
    references, alive = [], []

    def read(path):
        section = read_section(path)
        references.append(weakref.ref(section))
        alive.append(sum(reference() is not None for reference in references))
        return section

    monkeypatch.setattr("gest.data.training_sections.read_section", read)
    fit_sections(files * 3, SETTINGS)
    assert len(references) >= 4 * 6  # four passes
    assert max(alive) <= 2  # the section in use and the one being read


@pytest.fixture(scope="session")
def cloud() -> np.ndarray:
    """Draw 20,000 points around 300 random centres: more than 256 per cluster if there are 50 clusters."""
    rng = np.random.default_rng(5)
    return (rng.normal(0, 2, (300, 10))[rng.integers(0, 300, 20_000)] + rng.normal(size=(20_000, 10))).astype(
        np.float32
    )


def test_clusters_of_many_cells_are_as_tight_as_scikit_learns(cloud):
    label = cluster(cloud, 50, seed=0)
    centres = np.stack([cloud[label == k].mean(0) for k in range(50)])
    exact = KMeans(50, n_init=1, random_state=0).fit(cloud)
    assert ((cloud - centres[label]) ** 2).sum() < 1.01 * exact.inertia_


def test_a_vocabulary_of_many_cells(cloud):
    fitted = Vocabulary.fit(cloud, n_metacells=50)
    assert fitted.sizes.sum() == len(cloud)
    points = (cloud - fitted.mean) @ fitted.components.T
    nearest = ((points[:, None] - fitted.pca) ** 2).sum(-1)
    spread = nearest[np.arange(len(cloud)), fitted.tokenize(cloud)].sum()
    random_centres = points[np.random.default_rng(0).choice(len(points), 50, replace=False)]
    assert spread < 0.8 * ((points[:, None] - random_centres) ** 2).sum(-1).min(1).sum()
    np.testing.assert_allclose(np.average(fitted.expression, axis=0, weights=fitted.sizes), cloud.mean(0), atol=1e-4)


def test_the_number_of_threads_does_not_matter(cloud):
    wide = sp.random(3000, 300, 0.1, format="csr", dtype=np.float32, random_state=1)
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append((Vocabulary.fit(wide, n_metacells=40).digest(), cluster(cloud, 50, seed=1).tobytes()))
    assert results[0] == results[1]


def test_variable_genes_are_scanpys_and_keep_their_order(sections, files):
    import scanpy as sc

    stacked = AnnData(sp.vstack([section.X for section in sections]), var=sections[0].var[[]])
    sc.pp.highly_variable_genes(stacked, flavor="seurat_v3", n_top_genes=12)
    chosen = stacked.var_names[stacked.var["highly_variable"]]
    others = stacked.var_names.difference(chosen)
    fitted = fit_sections(files, SETTINGS | {"n_genes": 12})
    assert list(fitted.genes) == list(chosen)
    markers = [others[3], chosen[0], others[0]]
    with pytest.warns(UserWarning, match="lack the markers Nowhere1, Nowhere2"):
        marked = fit_sections(files, SETTINGS | {"n_genes": 12, "markers": [*markers, "Nowhere1", "Nowhere2"]})
    expected = stacked.var_names[stacked.var_names.isin([*chosen, *markers])]
    assert len(expected) == 14
    assert list(marked.genes) == list(expected)
    assert marked.digest() == fit_sections([s[:, expected].copy() for s in sections], SETTINGS).digest()


def test_kept_genes_alone_are_normalised(sections):
    """The total of a cell is that of the kept genes, both for the vocabulary and for new sections."""
    fitted = fit_sections(sections, SETTINGS | {"n_genes": 12})
    totals = np.concatenate([np.asarray(s[:, fitted.genes].X.sum(1)).ravel() for s in sections])
    assert fitted.normalisation["target_sum"] == pytest.approx(np.median(totals))
    normalised = sp.vstack([expression_of(section, fitted) for section in sections])
    np.testing.assert_allclose(fitted.mean, np.asarray(normalised.mean(0)).ravel(), rtol=1e-5)
    np.testing.assert_allclose(np.expm1(normalised.toarray()).sum(1)[totals > 0], np.median(totals), rtol=1e-4)


def test_errors_of_sections_and_settings(sections, files, tmp_path):
    with pytest.raises(UserError, match=r"vocabulary\.k: unknown key \(choose n_metacells, .*n_genes, markers\)"):
        fit_sections(files, {"k": 3})
    with pytest.raises(UserError, match="no training sections"):
        fit_sections([], {})
    with pytest.raises(UserError, match=r"vocabulary\.n_genes: 0 is out of range \(expected at least 1\)"):
        fit_sections(files, {"n_genes": 0})
    normalised = sections[0].copy()
    normalised.uns["gest"] = {"x": "normalised"}
    with pytest.raises(UserError, match="needs counts, but X holds normalised values"):
        fit_sections([normalised], {"n_genes": 5})
    with pytest.raises(UserError, match="some sections hold counts and others normalised"):
        fit_sections([sections[0], normalised], {})
    for few in (2, 8):
        with pytest.raises(UserError, match=f"no trend of variance can be fitted to 500 cells of {few} genes"):
            fit_sections([sections[0][:, :few].copy()], {"n_genes": 1})
    write_section(sections[1][:, 1:], tmp_path / "fewer.h5ad")
    with pytest.raises(UserError, match="section 's1' has other genes"):
        fit_sections([files[0], tmp_path / "fewer.h5ad"], {})
    with pytest.raises(UserError, match=r"nothing\.h5ad: file not found"):
        fit_sections([files[0], tmp_path / "nothing.h5ad"], {})


def test_user_errors(expression, fitted, sections, tmp_path):
    with pytest.raises(UserError, match=r"n_metacells is 601 \(expected at most the 600 cells\)"):
        Vocabulary.fit(expression, n_metacells=601)
    with pytest.raises(UserError, match="only 3 of 10 meta cells are distinct"):
        Vocabulary.fit(np.repeat(expression[:3], 50, 0), n_metacells=10)
    with pytest.raises(UserError, match="the expression holds NaN or infinite values"):
        Vocabulary.fit(np.where(expression > 5, np.nan, expression), n_metacells=5)
    with pytest.raises(UserError, match=r"has 39 genes \(expected 40\)"):
        fitted.tokenize(expression[:, :39])
    with pytest.raises(UserError, match="not a vocabulary"):
        Vocabulary.load(tmp_path / "nothing.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(UserError, match="not a vocabulary"):
        Vocabulary.load(tmp_path / "text.npz")
    with pytest.raises(UserError, match="section 's1' has other genes than the first"):
        fit_sections([sections[0], sections[1][:, ::-1]], {})
