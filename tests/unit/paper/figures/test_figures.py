"""Figures show their input, and saving the same figure gives the same bytes."""

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgba
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline

from gest.attention import spatial_mask
from gest.paper.figures.attention_mask import ALLOWED, FORBIDDEN, draw_mask
from gest.paper.figures.generated import draw_generation, draw_markers
from gest.paper.figures.metacells import draw_umap, project_umap
from gest.paper.figures.predictions import read_predictions, select_first_run
from gest.paper.figures.rounds import GENERATED, draw_rounds
from gest.paper.figures.serialisation import choose_window, draw_orders
from gest.paper.figures.setting import draw_setting
from gest.pl.maps import SEEN, SKY_BLUE, VERMILION, outline, spacing
from gest.pl.save import save
from gest.windows import serialize

mpl.use("Agg")


def circles(ax):
    return [drawn for drawn in ax.collections if isinstance(drawn, EllipseCollection)]


def positions(ax, colour):
    """Return the positions of an axes' dots of one colour."""
    offsets = [drawn.get_offsets() for drawn in circles(ax) if tuple(drawn.get_facecolor()[0]) == to_rgba(colour)]
    return np.concatenate(offsets)


def panels(figure):
    return [ax for ax in figure.axes if ax.get_visible() and circles(ax)]


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


@pytest.fixture
def grid():
    """Return 400 spots on a grid, 100 µm apart."""
    return np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2) * 100.0


@pytest.fixture
def figure():
    figure = Figure(layout="constrained")
    figure.subplots().plot([0, 1], label="a µm")
    figure.legend()
    return figure


# Saving


def test_the_same_figure_gives_the_same_bytes(figure, tmp_path):
    for name in ("a", "b"):
        save(figure, tmp_path / name / "f.png", tmp_path / name / "f.pdf")
    for kind in ("png", "pdf"):
        assert (tmp_path / f"a/f.{kind}").read_bytes() == (tmp_path / f"b/f.{kind}").read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["f.pdf", "f.pdf", "f.png", "f.png"]


def test_png_has_200_dots_per_inch_or_more_and_pdf_keeps_its_text(figure, tmp_path):
    save(figure, tmp_path / "f.png", tmp_path / "f.pdf")
    width, height = mpl.image.imread(tmp_path / "f.png").shape[1::-1]
    assert (np.array([width, height]) >= 200 * figure.get_size_inches()).all()
    pdf = (tmp_path / "f.pdf").read_bytes()
    assert b"/Subtype /Type42" in pdf or b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_a_failed_save_leaves_no_file(figure, tmp_path):
    with pytest.raises(KeyError):
        save(figure, tmp_path / "f.jpeg")
    assert not list(tmp_path.iterdir())


# Maps


def test_spacing_is_the_pitch_of_a_grid_and_follows_the_density_of_cells(grid, rng):
    assert spacing(grid) == 100
    cells = rng.uniform(0, 1000, (20_000, 2))
    # Second nearest neighbours of a Poisson process: π ρ d² has a gamma distribution of shape 2, with median 1.678.
    assert spacing(cells) == pytest.approx(np.sqrt(1.678 / np.pi / 0.02), rel=0.03)


def test_setting_shows_every_spot_once_in_its_colour(grid):
    unseen = (grid > 1200).all(axis=1)
    figure = draw_setting(grid, unseen, title="Setting (run toy)", of="spots")
    (ax,) = panels(figure)
    np.testing.assert_array_equal(positions(ax, SEEN), grid[~unseen])
    np.testing.assert_array_equal(positions(ax, VERMILION), grid[unseen])
    written = texts(figure)
    assert {"Setting (run toy)", "Ref: seen (351 spots)", "Test: unseen (49 spots)", "500 µm"} <= set(written)


def test_scale_bar_is_as_long_as_it_says(grid):
    figure = draw_setting(grid, grid[:, 0] > 900, title="")
    (ax,) = panels(figure)
    (bar,) = ax.lines
    (text,) = [text for text in texts(figure) if text.endswith("µm")]
    assert np.ptp(bar.get_xdata()) == float(text.removesuffix(" µm"))


def test_outline_holds_the_marked_spots_and_no_other(grid):
    marked = np.hypot(*(grid - 950).T) < 400
    ax = Figure().subplots()
    outline(ax, grid, marked)
    (line,) = [drawn for drawn in ax.collections if isinstance(drawn, QuadContourSet)]
    (path,) = line.get_paths()
    np.testing.assert_array_equal(Outline(path.vertices).contains_points(grid), marked)


# Generation


def test_figure_of_generation_shows_seen_and_unseen_cells(rng):
    xy = rng.uniform(0, 1000, (300, 2))
    unseen = (xy < 400).all(axis=1)
    truth = rng.random((unseen.sum(), 2))
    figure = draw_generation(xy, unseen, truth, {"GP": truth}, ["Gad1", "Mbp"], title="t")
    np.testing.assert_array_equal(positions(figure.axes[0], SEEN), xy[~unseen])
    np.testing.assert_array_equal(positions(figure.axes[0], VERMILION), xy[unseen])
    assert {"truth", "GP", "Gad1", "Mbp", "t"} <= set(texts(figure))
    assert sum(text == "log-normalised\nexpression" for text in texts(figure)) == 2


def test_markers_show_predictions_among_seen_cells(grid, rng):
    unseen = (np.abs(grid - 950) < 300).all(axis=1)
    expression = rng.random((len(grid), 2))
    predictions = {"GeST-W": rng.random((unseen.sum(), 2)), "GP": np.full((unseen.sum(), 2), np.nan)}
    figure = draw_markers(grid, unseen, expression, predictions, ["SPINK1", "GPC3"], missing=["COL1A1"], title="t")
    near = (np.abs(grid - 950) <= 250 + 0.4 * 500).all(axis=1)
    for row in range(2):
        truth, weighted, failed = (circles(ax)[0] for ax in panels(figure)[3 * row : 3 * row + 3])
        assert truth.get_clim() == weighted.get_clim() == failed.get_clim()
        np.testing.assert_array_equal(truth.get_offsets(), grid[near])
        np.testing.assert_array_equal(truth.get_array(), expression[near, row])
        np.testing.assert_array_equal(weighted.get_array()[unseen[near]], predictions["GeST-W"][:, row])
        np.testing.assert_array_equal(weighted.get_array()[~unseen[near]], expression[near & ~unseen, row])
    written = texts(figure)
    assert written.count("failed") == 2
    assert any("Not in the data: COL1A1." in text for text in written)


@pytest.fixture
def prediction(tmp_path, rng):
    """Return a file and its predictions: two crops and seeds, cells out of order."""
    obs = pd.DataFrame(
        [
            {"crop": crop, "cell": cell, "model_seed": 0, "seed": seed}
            for seed in (0, 1)
            for crop, cells in (("0", "ca"), ("1", "ba"))
            for cell in cells
        ]
    )
    obs.index = obs.index.astype(str)
    layers = {name: rng.random((len(obs), 3)) for name in ("codebook", "picking", "weighted")}
    predicted = ad.AnnData(
        obs=obs, var=pd.DataFrame(index=["x", "y", "z"]), layers=layers, uns={"gest": {"method": "gest"}}
    )
    predicted.write_h5ad(tmp_path / "gest.h5ad")
    return tmp_path / "gest.h5ad", predicted


def test_predictions_are_in_the_requested_order(prediction):
    path, predicted = prediction
    read = read_predictions([path], "1", ["a", "b"], ["z", "x"])
    assert list(read) == ["GeST-W", "GeST"]
    np.testing.assert_array_equal(read["GeST-W"], predicted.layers["weighted"][[3, 2]][:, [2, 0]])
    np.testing.assert_array_equal(read["GeST"], predicted.layers["picking"][[3, 2]][:, [2, 0]])


def test_the_first_run_has_one_seed(prediction):
    _, predicted = prediction
    assert select_first_run(predicted).obs_names.tolist() == ["0", "1", "2", "3"]


# The model


def test_mask_is_that_of_the_attention():
    mask = spatial_mask(6).numpy()
    figure = draw_mask(mask, title="t")
    (mesh,) = figure.axes[0].collections
    np.testing.assert_array_equal(mesh.get_array().reshape(12, 12), mask)
    colours = mesh.to_rgba(mesh.get_array().reshape(12, 12))
    np.testing.assert_array_equal(colours[mask], np.tile(to_rgba(ALLOWED), (mask.sum(), 1)))
    np.testing.assert_array_equal(colours[~mask], np.tile(to_rgba(FORBIDDEN), ((~mask).sum(), 1)))
    names = [f"$gs(x_{{{i}}})$" for i in range(1, 7)] + [f"$s(x_{{{i}}})$" for i in range(2, 8)]
    for labels in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()):
        assert [label.get_text() for label in labels] == names
    assert figure.axes[0].get_ylim() == (12, 0)  # the first row is on top, as in a matrix


@pytest.mark.parametrize("density", [1e-4, 1e-2])
def test_the_window_has_the_models_size_or_few_cells(rng, density):
    xy = rng.uniform(0, 1000, (int(density * 1e6), 2))
    cells, centre, side = choose_window(xy, 600)
    np.testing.assert_array_equal(cells, np.flatnonzero((np.abs(xy - centre) <= side / 2).all(axis=1)))
    if density == 1e-4:
        assert side == 600
    else:
        assert len(cells) <= 60
        assert side % 10 == 0
        assert (np.abs(xy - centre) <= side / 2 + 5).all(axis=1).sum() > 60, "10 µm more would be too many"


def test_cells_are_numbered_in_the_order_of_the_sequence(rng):
    xy = rng.uniform(0, 1000, (900, 2))
    cells, centre, side = choose_window(xy, 200)
    corner = centre + side / 2
    sequences = {
        order: cells[serialize(xy[cells], corner=corner, order=order, rng=np.random.default_rng(5))]
        for order in ("random", "ordinal")
    }
    figure = draw_orders(xy, sequences, centre=centre, side=side, corner=corner)
    section, *orders = panels(figure)
    np.testing.assert_array_equal(positions(section, SKY_BLUE), xy)
    for ax, sequence in zip(orders, sequences.values(), strict=True):
        assert sorted(sequence) == sorted(cells)
        np.testing.assert_array_equal(positions(ax, VERMILION), xy[sequence])
        numbers = [text for text in ax.texts if text.get_text().isdigit()]
        assert [text.get_text() for text in numbers] == [str(i + 1) for i in range(len(cells))]
        np.testing.assert_array_equal([text.xy for text in numbers], xy[sequence])
    assert not np.array_equal(*sequences.values())


@pytest.mark.slow
def test_umap_puts_meta_cells_among_the_cells_they_represent(rng):
    centres = rng.normal(0, 20, (3, 10))
    labels = rng.integers(3, size=150)
    points = centres[labels] + rng.normal(size=(150, 10))
    cells, metacells = project_umap(points, centres, seed=1)
    np.testing.assert_array_equal(cells, project_umap(points, centres, seed=1)[0])
    nearest = np.linalg.norm(cells[:, None] - metacells, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, labels)


@pytest.mark.slow
def test_umap_takes_a_large_section(rng):
    """From 8192 cells on, scanpy searches for neighbours by another method."""
    centres = rng.normal(0, 20, (3, 5))
    labels = rng.integers(3, size=8192)
    cells, metacells = project_umap(centres[labels] + rng.normal(size=(8192, 5)), centres)
    nearest = np.linalg.norm(cells[:, None] - metacells, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.99


def test_umap_draws_each_cluster_in_a_different_style(rng):
    cells, metacells, clusters = rng.random((50, 2)), rng.random((30, 2)), np.arange(30) % 15
    figure = draw_umap(cells, metacells, clusters, title="t")
    background, *groups = figure.axes[0].collections
    np.testing.assert_array_equal(background.get_offsets(), cells)
    assert len(groups) == 15
    for cluster, group in enumerate(groups):
        np.testing.assert_array_equal(group.get_offsets(), metacells[clusters == cluster])
    styles = {(tuple(group.get_facecolor()[0]), group.get_paths()[0].vertices.tobytes()) for group in groups}
    assert len(styles) == 15
    assert all(group.get_sizes()[0] > background.get_sizes()[0] for group in groups)


@pytest.mark.parametrize("last", [1, 3, 5, 8])
def test_rounds_are_drawn_one_by_one(rng, last):
    xy = rng.uniform(0, 500, (200, 2))
    rounds = np.append(rng.integers(0, last + 1, 200 - last), np.arange(1, last + 1))
    figure = draw_rounds(xy, rounds, title="t")
    drawn = panels(figure)
    assert len(drawn) == last
    for number, ax in enumerate(drawn, start=1):
        np.testing.assert_array_equal(positions(ax, SKY_BLUE), xy[rounds < number])
        np.testing.assert_array_equal(positions(ax, GENERATED), xy[rounds == number])
        assert ax.get_title() == f"round {number}: {(rounds == number).sum()} cells generated"
        if number < last:
            np.testing.assert_array_equal(positions(ax, VERMILION), xy[rounds > number])
