"""Labels to learn from: blocks that are held out, cells that are drawn."""

import numpy as np
import pytest

from gest.errors import UserError
from gest.tasks.annotation.labels import LabelledSection, draw_labels, hold_out_blocks
from gest.windows import Tokens


def test_held_out_blocks_are_squares_that_no_training_cell_lies_in(rng):
    sections = [
        LabelledSection(
            tokens=Tokens(rng.uniform(0, size, (800, 2)) - 77, np.zeros(800, int)),
            labels=rng.choice(["", "x", "y"], 800),
        )
        for size in (900, 1300)
    ]
    left, held = hold_out_blocks(sections, 150, 3)
    n_blocks = 6 * 6 + 9 * 9
    taken = 0
    for section, a, b in zip(sections, left, held, strict=True):
        assert ((a.labels == "") | (b.labels == "")).all()
        np.testing.assert_array_equal(np.where(a.labels == "", b.labels, a.labels), section.labels)
        tile = np.floor((section.tokens.xy - section.tokens.xy.min(0)) / 150)
        blocks = {tuple(t) for t in tile[b.labels != ""]}
        assert not blocks & {tuple(t) for t in tile[a.labels != ""]}
        taken += len(blocks)
    assert abs(taken - 0.1 * n_blocks) <= 1
    assert [b.labels.tolist() for b in hold_out_blocks(sections, 150, 4)[1]] != [b.labels.tolist() for b in held]


def test_no_class_is_held_out_entirely(rng):
    xy = rng.uniform(0, 900, (800, 2))
    labels = rng.choice(["x", "y"], 800).astype("U4")
    labels[:2], xy[:2] = "rare", [[10.0, 10.0], [15.0, 10.0]]
    labels[2:4], xy[2:4] = "two", [[700.0, 10.0], [10.0, 700.0]]  # in a block each
    labelled = [LabelledSection(tokens=Tokens(xy, np.zeros(800, int)), labels=labels)]
    corner = []
    for seed in range(60):
        (left,), (held,) = hold_out_blocks(labelled, 150, seed)
        assert set(left.labels) - {""} == {"x", "y", "two", "rare"}
        assert len({tuple(tile) for tile in np.floor((xy - xy.min(0)) / 150)[held.labels != ""].tolist()}) == 4
        corner.append("two" in held.labels)
    assert any(corner), "one of two blocks of a class may be held out"
    halves = np.where(xy[:, 0] - xy[:, 0].min() < 450, "x", "y")
    flat = Tokens(np.column_stack((xy[:, 0], xy[:, 1] * 0.4)), np.zeros(800, int))
    with pytest.raises(UserError, match="each of the 2 square blocks of 450 µm holds all cells of a class"):
        hold_out_blocks([LabelledSection(tokens=flat, labels=halves)], 450, 0)


def test_cells_are_drawn_over_all_sections_together(rng):
    labels = [rng.choice(["", "x", "yy"], n) for n in (50, 500)]
    drawn = draw_labels(labels, 40, seed=0)
    assert sum((labels_of_section != "").sum() for labels_of_section in drawn) == 40
    assert all(((a == b) | (b == "")).all() for a, b in zip(labels, drawn, strict=True))
    assert (drawn[1] != "").sum() > 25  # by their numbers
    for a, b in zip(labels, draw_labels(labels, None, seed=0), strict=True):
        np.testing.assert_array_equal(a, b)
