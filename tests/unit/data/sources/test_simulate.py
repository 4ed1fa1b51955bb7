"""The simulated tissue: it is reproducible, and each kind of gene carries its signal and no other."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from gest.data.sources.simulate import KINDS, _neighbour_share, simulate
from gest.data.sources.simulated_anatomy import regions
from gest.errors import UserError
from gest.sections import read_section, write_section


@pytest.fixture(scope="module")
def section():
    """Simulate 6,000 cells at the default density and 70 genes, enough for the statistics."""
    return simulate("s1", donor="m1", n_cells=6000, width_um=2000, height_um=2000, n_genes=70, seed=3, slice=0.4)


def dense(adata):
    return adata.X.toarray().astype(np.float64)


def same(a, b):
    arrays = [(s.X.data, s.X.indices, s.X.indptr, s.obsm["spatial"]) for s in (a, b)]
    frames = a.obs.reset_index(drop=True).drop(columns="section"), b.obs.reset_index(drop=True).drop(columns="section")
    return all(x.tobytes() == y.tobytes() for x, y in zip(*arrays, strict=True)) and frames[0].equals(frames[1])


@pytest.mark.parametrize("platform", ["cells", "spots"])
def test_the_seed_decides_every_byte_and_the_name_the_section(platform):
    def make(name="a", donor="m1", seed=1, slice=0.5):
        return simulate(name, donor=donor, platform=platform, seed=seed, slice=slice)

    np.random.seed(7)  # noqa: NPY002 - the global state must not matter
    assert same(make(), make())
    assert make().var.equals(make(name="b", donor="m2").var)
    for change in ({"name": "b"}, {"donor": "m2"}, {"seed": 2}, {"slice": 0.6}):
        assert not same(make(), make(**change))


def test_the_default_is_a_small_section_within_its_extent():
    toy = simulate("toy", donor="m1")
    assert toy.shape == (1800, 60)
    assert toy.obs_names.str.startswith("toy").all()
    assert set(toy.obs["section"]) == {"toy"}
    assert set(toy.obs["donor"]) == {"m1"}
    low, high = toy.obsm["spatial"].min(axis=0), toy.obsm["spatial"].max(axis=0)
    assert (low >= 0).all()
    assert (high <= (1200, 1000)).all()
    assert (high - low > (1150, 950)).all()


@pytest.mark.parametrize("platform", ["cells", "spots"])
def test_a_section_can_be_written_and_read(platform, tmp_path):
    simulated = simulate("s", donor="m1", platform=platform)
    write_section(simulated, tmp_path / "s.h5ad")
    read = read_section(tmp_path / "s.h5ad")
    assert np.array_equal(read.X.toarray(), simulated.X.toarray())
    assert read.obs["region"].tolist() == simulated.obs["region"].tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("platform", ["cells", "spots"])
def test_every_region_lies_within_one_division(seed, platform):
    obs = simulate("s", donor="m1", platform=platform, n_cells=4000, width_um=1800, height_um=1500, seed=seed).obs
    pairs = obs[["division", "region"]].drop_duplicates()
    assert pairs["region"].is_unique
    assert pairs["division"].value_counts().to_dict() == {"cortex": 4, "nuclei": 4, "fibre_tract": 1, "interstitium": 1}


def test_boundaries_are_curved_and_move_smoothly_with_slice_and_slightly_with_the_animal():
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 120), np.linspace(0, 1, 120)), axis=-1).reshape(-1, 2)

    def at(slice, donor="m1"):
        return regions(grid, seed=0, donor=donor, slice=slice)

    def changed(a, b):
        return np.mean(a != b)

    depth_of_cortex = (at(0.3).reshape(120, 120) < 4).sum(axis=0)
    assert np.ptp(depth_of_cortex) > 5
    steps = [changed(at(s), at(s + 0.01)) for s in np.arange(0, 1, 0.1)]
    assert max(steps) < 0.02
    assert changed(at(0.0), at(0.2)) > 3 * max(steps)
    assert 0.002 < changed(at(0.3), at(0.3, "m2")) < 0.15


def test_density_is_as_asked_uneven_and_not_a_grid(section):
    xy = section.obsm["spatial"]
    assert len(xy) / (2000 * 2000) * 1e6 == 1500
    # The coefficient of variation of distances to the nearest neighbour is 0.52 for a Poisson process, 0 for a grid.
    nearest = KDTree(xy).query(xy, k=2)[0][:, 1]
    assert 0.35 < nearest.std() / nearest.mean() < 0.6
    # Chi-squared statistic of the cells per region, compared with an even density.
    grid = np.random.default_rng(0).random((200_000, 2))
    area = np.bincount(regions(grid, seed=3, donor="m1", slice=0.4), minlength=10) / len(grid)
    cells = np.bincount(regions(xy / 2000, seed=3, donor="m1", slice=0.4), minlength=10)
    expected = len(xy) * area
    assert ((cells - expected) ** 2 / expected).sum() > 100


def test_cell_types_mix_by_region(section):
    table = pd.crosstab(section.obs["region"], section.obs["cell_type"])
    assert table.shape == (10, 8)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.to_numpy().sum()
    assert ((table - expected) ** 2 / expected).to_numpy().sum() > 20 * 9 * 7


def explained(label, y):
    """Return the share of the variance of y (genes in columns) between the groups of `label`."""
    groups = pd.DataFrame(y).groupby(np.asarray(label, dtype=str))
    return groups.transform("mean").to_numpy().var(axis=0) / y.var(axis=0)


def residual(y, design):
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def one_hot(label):
    return pd.get_dummies(np.asarray(label, dtype=str)).to_numpy(dtype=float)


def signals(section, rng):
    """Return, per kind, a statistic (T,) of all genes and its 99 % quantile over genes if cells are permuted."""
    y = np.log1p(dense(section))
    xy = section.obsm["spatial"]
    obs = section.obs
    plane = np.column_stack([np.ones(len(xy)), xy])
    types = one_hot(obs["cell_type"])
    near = cdist(xy, xy) < 50
    np.fill_diagonal(near, False)
    share = near @ types / np.maximum(near.sum(axis=1, keepdims=True), 1)
    # The association beyond what region, type and position explain.
    design = np.column_stack([one_hot(obs["region"]), types, xy - xy.mean(axis=0)])
    share_left = residual(share, design)

    def partial(values):
        left = residual(values, design)
        corr = (left - left.mean(axis=0)).T @ share_left
        return np.abs(corr / np.linalg.norm(left, axis=0)[:, None] / np.linalg.norm(share_left, axis=0)).max(axis=1)

    statistics = {
        "marker": lambda values: explained(obs["cell_type"], values),
        "regional": lambda values: explained(obs["region"], values),
        "gradient": lambda values: 1 - residual(values, plane).var(axis=0) / values.var(axis=0),
        "neighbour": partial,
    }
    shuffled = y[rng.permutation(len(y))]
    return {kind: (f(y), np.quantile(f(shuffled), 0.99)) for kind, f in statistics.items()}


@pytest.mark.slow
def test_each_kind_of_gene_carries_its_signal_and_null_genes_none(section):
    kind = section.var["kind"].to_numpy()
    assert set(kind) == set(KINDS)
    result = signals(section, np.random.default_rng(0))
    for signal, (statistic, chance) in result.items():
        assert (statistic[kind == signal] > 2 * chance).all(), signal
        assert np.median(statistic[kind == "null"]) < chance, signal
        assert (statistic[kind == "null"] < 1.5 * chance).all(), signal
        # The signal is strongest in the genes of its kind.
        assert np.median(statistic[kind == signal]) > 2 * np.median(statistic[kind != signal]), signal


def test_the_neighbour_share_leaves_the_cell_itself_and_far_ones_out():
    rng = np.random.default_rng(0)
    xy, is_type = rng.random((300, 2)) * 700, np.eye(8)[rng.integers(8, size=300)]
    expected = np.zeros((300, 8))
    for i in range(300):
        near = [j for j in range(300) if j != i and np.hypot(*(xy[i] - xy[j])) <= 50]
        if near:
            expected[i] = is_type[near].mean(axis=0)
    assert (expected.sum(axis=1) == 0).any()
    np.testing.assert_allclose(_neighbour_share(xy, is_type), expected, atol=1e-12)


def test_markers_mark_the_type_they_name(section):
    y = pd.DataFrame(dense(section), columns=section.var_names)
    by_type = y.groupby(section.obs["cell_type"].to_numpy(dtype=str)).mean()
    markers = section.var.query("kind == 'marker'")
    assert (by_type[markers.index].idxmax() == markers["cell_type"]).all()
    ratio = by_type[markers.index].max() / by_type[markers.index].median()
    np.testing.assert_allclose(ratio, np.exp(2), rtol=0.25)


def test_counts_are_overdispersed(section):
    """For null genes, Var = m + c m² with 1 + c = (1 + 1/2) exp(0.3²): gamma of shape 2 times log-normal size."""
    y = dense(section)[:, section.var["kind"] == "null"]
    mean, variance = y.mean(axis=0), y.var(axis=0)
    assert (y == np.rint(y)).all()
    assert (variance > 1.2 * mean).all()
    np.testing.assert_allclose((variance - mean) / mean**2, 1.5 * np.exp(0.09) - 1, rtol=0.25)


def test_spots_lie_on_a_hexagonal_grid_and_sum_their_cells():
    # Both platforms first draw the same cells, so the counts of spots can be computed from those of cells.
    options = {"donor": "m1", "n_cells": 4000, "width_um": 1800, "height_um": 1500, "seed": 2}
    cells, spots = simulate("s", **options), simulate("s", platform="spots", **options)
    xy = spots.obsm["spatial"]
    distance, _ = KDTree(xy).query(xy, k=7)
    np.testing.assert_allclose(distance[:, 1], 100)
    inner = ((xy > 150) & (xy < np.array([1800, 1500]) - 150)).all(axis=1)
    six = np.isclose(distance[inner][:, 1:], 100).sum(axis=1)
    assert np.median(six) == 6
    members = cdist(xy, cells.obsm["spatial"]) <= 27.5
    assert members.any(axis=1).all()
    assert np.array_equal(members @ dense(cells), dense(spots))
    for spot, label in zip(members, spots.obs["region"], strict=True):
        count = cells.obs["region"][spot].value_counts()
        assert count[label] == count.max()


def test_gene_programmes_transfer_between_animals():
    first = simulate("a", donor="m1", seed=5, slice=0.3)
    second = simulate("b", donor="m2", seed=5, slice=0.5)
    other_tissue = simulate("c", donor="m3", seed=6, slice=0.5)

    def profiles(adata):
        means = pd.DataFrame(np.log1p(dense(adata))).groupby(adata.obs["region"].to_numpy(dtype=str)).mean()
        return (means - means.mean()).to_numpy().ravel()

    assert np.corrcoef(profiles(first), profiles(second))[0, 1] > 0.8
    assert abs(np.corrcoef(profiles(first), profiles(other_tissue))[0, 1]) < 0.3


@pytest.mark.parametrize(
    "bad", [{"platform": "bins"}, {"slice": 1.5}, {"n_cells": 0}, {"n_genes": 0}, {"width_um": -1}, {"height_um": 0}]
)
def test_values_out_of_range_are_refused(bad):
    key, value = next(iter(bad.items()))
    with pytest.raises(UserError, match=f"^s: {key} is '?{value}"):
        simulate("s", donor="m1", **bad)
