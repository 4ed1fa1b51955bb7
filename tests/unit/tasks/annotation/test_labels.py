"""Labels for training: held-out blocks, and labels drawn at random."""

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
    training, held_out = hold_out_blocks(sections, 150, 3)
    n_blocks = 6 * 6 + 9 * 9
    n_held_out = 0
    for section, a, b in zip(sections, training, held_out, strict=True):
        assert ((a.labels == "") | (b.labels == "")).all()
        np.testing.assert_array_equal(np.where(a.labels == "", b.labels, a.labels), section.labels)
        tile = np.floor((section.tokens.xy - section.tokens.xy.min(0)) / 150)
        blocks = {tuple(t) for t in tile[b.labels != ""]}
        assert not blocks & {tuple(t) for t in tile[a.labels != ""]}
        n_held_out += len(blocks)
    assert abs(n_held_out - 0.1 * n_blocks) <= 1
    assert [b.labels.tolist() for b in hold_out_blocks(sections, 150, 4)[1]] != [b.labels.tolist() for b in held_out]


def test_no_class_is_held_out_entirely(rng):
    xy = rng.uniform(0, 900, (800, 2))
    labels = rng.choice(["x", "y"], 800).astype("U4")
    labels[:2], xy[:2] = "rare", [[10.0, 10.0], [15.0, 10.0]]
    labels[2:4], xy[2:4] = "two", [[700.0, 10.0], [10.0, 700.0]]  # these two cells lie in different blocks
    labelled = [LabelledSection(tokens=Tokens(xy, np.zeros(800, int)), labels=labels)]
    holds_two = []
    for seed in range(60):
        (training,), (held_out,) = hold_out_blocks(labelled, 150, seed)
        assert set(training.labels) - {""} == {"x", "y", "two", "rare"}
        assert len({tuple(tile) for tile in np.floor((xy - xy.min(0)) / 150)[held_out.labels != ""].tolist()}) == 4
        holds_two.append("two" in held_out.labels)
    assert any(holds_two), "one of two blocks of a class may be held out"
    halves = np.where(xy[:, 0] - xy[:, 0].min() < 450, "x", "y")
    flat = Tokens(np.column_stack((xy[:, 0], xy[:, 1] * 0.4)), np.zeros(800, int))
    with pytest.raises(UserError, match="each of the 2 square blocks of 450 µm holds all cells of a class"):
        hold_out_blocks([LabelledSection(tokens=flat, labels=halves)], 450, 0)


def test_cells_are_drawn_over_all_sections_together(rng):
    labels = [rng.choice(["", "x", "yy"], n) for n in (50, 500)]
    drawn = draw_labels(labels, 40, seed=0)
    assert sum((labels_of_section != "").sum() for labels_of_section in drawn) == 40
    assert all(((a == b) | (b == "")).all() for a, b in zip(labels, drawn, strict=True))
    assert (drawn[1] != "").sum() > 25  # in proportion to their numbers of labels
    for a, b in zip(labels, draw_labels(labels, None, seed=0), strict=True):
        np.testing.assert_array_equal(a, b)
