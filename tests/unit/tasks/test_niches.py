"""Niches and their batches against brute force."""

from itertools import pairwise

import numpy as np

from gest.tasks.niches import Niches


def test_a_niche_holds_the_window_with_its_cell_first(tokens, model):
    section = tokens[0]
    for window in (300, 120):
        niches = Niches(section, model.config, window=window)
        drawn, bins = niches.draw(42)
        inside = (np.abs(section.xy - section.xy[42]) <= window / 2).all(1)
        assert len(drawn) == inside.sum()
        assert drawn[0] == section.tokens[42]
        assert (bins[0] == 100).all()
        assert sorted(drawn) == sorted(section.tokens[inside])
        # The scale of positions is that of training: 300 µm over 200 bins.
        expected = np.floor((section.xy[inside] - section.xy[42]) * 200 / 300 + 100 + 0.5)
        assert sorted(map(tuple, bins)) == sorted(map(tuple, expected.astype(int)))


def test_batches_hold_every_cell_once_and_niches_of_similar_size(tokens, model):
    niches = Niches(tokens[0], model.config)
    batches = niches.split_by_size(np.arange(500), 64)
    assert sorted(np.concatenate(batches)) == list(range(500))
    sizes = [[len(niches.draw(cell)[0]) for cell in batch] for batch in batches]
    assert all(max(a) <= min(b) for a, b in pairwise(sizes))
