"""Moran's I against scanpy and its formula; the ranking and its top."""

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from gest import svg
from gest.errors import UserError


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


def test_scores_equal_scanpy_and_the_formula(section):
    expression, xy, genes = section
    ranking = svg.spatially_variable_genes(csr_matrix(expression), xy, genes).set_index("gene").loc[genes]
    graph = svg.neighbour_graph(xy)
    np.testing.assert_allclose(
        ranking["score"], sc.metrics.morans_i(csr_matrix(graph), expression.T.astype(float)), rtol=1e-6
    )
    z = expression[:, 3] - expression[:, 3].astype(float).mean()
    w = graph.toarray()
    by_hand = len(z) / w.sum() * sum(w[i, j] * z[i] * z[j] for i in range(300) for j in range(300)) / (z**2).sum()
    assert ranking["score"].iloc[3] == pytest.approx(by_hand, rel=1e-6)


def test_dense_and_sparse_and_blocks_agree(section, monkeypatch):
    expression, xy, genes = section
    ranking = svg.spatially_variable_genes(csr_matrix(expression), xy, genes)
    monkeypatch.setattr(svg, "BLOCK", 5)
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


def test_many_cells_on_one_spot_are_never_their_own_neighbours():
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


def test_mistakes_are_named(section):
    expression, xy, genes = section
    with pytest.raises(UserError, match="morans_i"):
        svg.spatially_variable_genes(expression, xy, genes, method="nnsvg")
    with pytest.raises(UserError, match="two cells"):
        svg.spatially_variable_genes(expression[:1], xy[:1], genes)
