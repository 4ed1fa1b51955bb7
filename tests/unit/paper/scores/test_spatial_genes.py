"""Rankings of genes: Moran's I against its formula, the input of SOMDE, the order and the top genes."""

import sys
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from gest.errors import UserError
from gest.paper.scores import spatial_genes as svg


@pytest.fixture
def section():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 1000, size=(300, 2))
    expression = rng.normal(size=(300, 12)) + np.outer(np.sin(xy[:, 0] / 150), np.linspace(2, 0, 12))
    expression = np.where(expression > 0, expression, 0).astype(np.float32)
    return expression, xy, [f"g{i}" for i in range(12)]


def test_the_graph_holds_the_ten_nearest_others(section):
    _, xy, _ = section
    graph = svg.neighbour_graph(xy)
    expected = NearestNeighbors(n_neighbors=10).fit(xy).kneighbors_graph().toarray() / 10
    np.testing.assert_allclose(graph.toarray(), expected)


def test_scores_are_morans_i_by_the_formula(section):
    expression, xy, genes = section
    ranking = svg.spatially_variable_genes(csr_matrix(expression), xy, genes).set_index("gene").loc[genes]
    w = svg.neighbour_graph(xy).toarray()
    z = expression.astype(float) - expression.mean(axis=0, dtype=float)
    by_hand = len(z) / w.sum() * (z * (w @ z)).sum(axis=0) / (z**2).sum(axis=0)
    np.testing.assert_allclose(ranking["score"], by_hand, rtol=1e-10)


def test_dense_and_sparse_agree(section):
    expression, xy, genes = section
    ranking = svg.spatially_variable_genes(csr_matrix(expression), xy, genes)
    pd.testing.assert_frame_equal(svg.spatially_variable_genes(expression, xy, genes), ranking)


def test_the_planted_gene_comes_first_and_a_constant_one_last(section):
    expression, xy, genes = section
    expression = expression.copy()
    expression[:, 0] = 1.5
    expression[:, 7] = xy[:, 0]
    ranking = svg.spatially_variable_genes(expression, xy, genes)
    assert ranking["gene"].iloc[0] == "g7"
    assert ranking["gene"].iloc[-1] == "g0"
    assert np.isnan(ranking["score"].iloc[-1])
    assert ranking["rank"].tolist() == list(range(1, 13))


def test_cells_that_share_a_position_are_not_their_own_neighbours():
    xy = np.zeros((30, 2))
    xy[20:] = np.arange(10)[:, None] + 1.0
    graph = svg.neighbour_graph(xy)
    assert graph.diagonal().sum() == 0
    np.testing.assert_allclose(graph.sum(axis=1), 1)


def test_fewer_cells_than_neighbours():
    graph = svg.neighbour_graph(np.arange(8.0).reshape(4, 2)).toarray()
    np.testing.assert_allclose(graph, (1 - np.eye(4)) / 3)


@pytest.mark.parametrize(("genes", "top", "label"), [(135, 50, "svg33"), (1122, 200, "svg200"), (3, 50, "svg1")])
def test_never_more_than_a_quarter_of_the_panel(genes, top, label):
    ranking = pd.DataFrame({"gene": [f"g{i}" for i in range(genes)], "score": 0.0, "rank": np.arange(genes, 0, -1)})
    chosen, named = svg.top_genes(ranking, top)
    assert named == label
    assert chosen == [f"g{i}" for i in range(genes - 1, genes - 1 - int(label[3:]), -1)]


@pytest.fixture
def counts(section):
    return np.random.default_rng(1).poisson(section[0]).astype(np.float32)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Install a stand-in for SOMDE's Python; return the folder with its input.

    It scores the i-th gene i² % 7.
    """
    python = tmp_path / ".venvs" / "somde" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f"#!{sys.executable}\nimport shutil, sys\nimport numpy as np\nsource, target = sys.argv[-2:]\n"
        f"shutil.copy(source, {str(tmp_path / 'input.npz')!r})\nassert '-I' in sys.argv\n"
        "genes = np.arange(len(np.load(source)['indptr']) - 1)\n"
        "np.savez(target, gene=genes, llr=genes**2 % 7, version='stand-in')\n"
    )
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_somde_gets_counts_and_ranks_by_likelihood_ratio(section, counts, stand_in):
    _, xy, genes = section
    counts[:, [0, 4]] = [[0, 2]]  # constant genes are not passed to SOMDE
    ranking = svg.spatially_variable_genes(csr_matrix(counts), xy, genes, method="somde")
    passed = np.load(stand_in / "input.npz")
    np.testing.assert_array_equal(
        csr_matrix((passed["data"], passed["indices"], passed["indptr"]), shape=(10, 300)).toarray(),
        np.delete(counts, [0, 4], axis=1).T,
    )
    np.testing.assert_array_equal(passed["xy"], xy)
    # The ten other genes score 0 1 4 2 2 4 1 0 1 4; tied genes, and the constant ones, keep their order.
    assert ranking["gene"].tolist() == [f"g{i}" for i in (3, 7, 11, 5, 6, 2, 8, 10, 1, 9, 0, 4)]
    assert ranking["score"].isna().tolist() == [False] * 10 + [True] * 2
    assert ranking["rank"].tolist() == list(range(1, 13))


def test_somde_gets_the_vocabularys_genes_of_a_section(section, counts, stand_in):
    _, xy, genes = section
    adata = ad.AnnData(csr_matrix(counts), var=pd.DataFrame(index=genes), obsm={"spatial": xy})
    vocabulary = SimpleNamespace(genes=np.array(["g5", "absent", "g2"]))
    ranking = svg.rank_section(adata, vocabulary, method="somde")
    passed = np.load(stand_in / "input.npz")
    np.testing.assert_array_equal(
        csr_matrix((passed["data"], passed["indices"], passed["indptr"]), shape=(2, 300)).toarray(), counts[:, [5, 2]].T
    )
    assert ranking["gene"].tolist() == ["g2", "g5", "absent"]


def test_errors_of_somde_name_the_remedy(section, counts, tmp_path, monkeypatch):
    expression, xy, genes = section
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"create it with `snakemake \.venvs/somde`"):
        svg.spatially_variable_genes(counts, xy, genes, method="somde")
    with pytest.raises(UserError, match=r"179 cells is too small for SOMDE.*morans_i"):
        svg.spatially_variable_genes(counts[:179], xy[:179], genes, method="somde")
    with pytest.raises(UserError, match=r"SOMDE takes counts.*morans_i"):
        svg.spatially_variable_genes(expression, xy, genes, method="somde")
    python = tmp_path / ".venvs" / "somde" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(UserError, match=r"failed in \.venvs/somde \(exit status 3\)"):
        svg.spatially_variable_genes(counts, xy, genes, method="somde")


def test_an_unknown_method_or_a_single_cell_is_refused(section):
    expression, xy, genes = section
    with pytest.raises(UserError, match=r"unknown method 'nnsvg' \(choose .*morans_i"):
        svg.spatially_variable_genes(expression, xy, genes, method="nnsvg")
    with pytest.raises(UserError, match="a section of 1 cells has no spatial pattern"):
        svg.spatially_variable_genes(expression[:1], xy[:1], genes)
