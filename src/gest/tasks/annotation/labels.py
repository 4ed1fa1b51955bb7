"""Labelled sections to learn from: read, drawn from at random, and partly held out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gest.data.read_for_model import to_model_input
from gest.errors import UserError, naming
from gest.model import GeST
from gest.windows import Tokens

if TYPE_CHECKING:
    from anndata import AnnData

_HELD_OUT = 0.1  # share of the blocks


class Labelled(NamedTuple):
    """A section to learn from: all its cells are context, those with a label are targets."""

    section: Tokens
    labels: np.ndarray
    """(n,) text, empty where there is no label."""


def draw_labels(labels: Sequence[np.ndarray], n: int | None, *, seed: int) -> list[np.ndarray]:
    """Keep at most n labels of all sections together, drawn at random, and blank the others."""
    if n is not None and not (isinstance(n, Integral) and n >= 1):
        raise UserError(
            f"annotation: 'training_cells' is {n!r}, and must be a whole number of at least 1, or null for all."
        )
    has = np.concatenate([of != "" for of in labels])
    if n is not None and n < has.sum():
        chosen = np.random.default_rng(seed).choice(np.flatnonzero(has), n, replace=False)
        has[:] = False
        has[chosen] = True
    parts = np.split(has, np.cumsum([len(of) for of in labels])[:-1])
    return [np.where(kept, of, "") for kept, of in zip(parts, labels, strict=True)]


def hold_out_blocks(sections: Sequence[Labelled], side: float, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Take the labels of a tenth of all square blocks out of sections: what is left of each, and what was taken.

    Of every class something is left: a block that holds all that remains of one is not taken, but another.

    Parameters
    ----------
    side
        Of a block, µm. Blocks are counted where they hold labelled cells.

    Raises
    ------
    UserError
        There are fewer than two blocks, or none that could be taken.
    """
    keys = [np.floor((section.xy - section.xy.min(0)) / side).astype(int) for section, _ in sections]
    blocks = [np.column_stack((np.full(len(key), i), key)) for i, key in enumerate(keys)]
    labels = np.concatenate([labels for _, labels in sections])
    has = labels != ""
    block = np.unique(np.concatenate(blocks), axis=0, return_inverse=True)[1]
    filled = np.unique(block[has])
    if len(filled) < 2:
        raise UserError(
            f"annotation: the labelled cells fill {len(filled)} square blocks of {side:g} µm, where one has to be held "
            "out and another learnt from; label more of the tissue, or give sections as `validation`."
        )
    taken = filled[_blocks_to_take(np.searchsorted(filled, block[has]), labels[has], seed)]
    if not len(taken):
        raise UserError(
            f"annotation: each of the {len(filled)} square blocks of {side:g} µm holds all cells of a class, so that "
            "none can be held out; label more of the tissue, or give sections as `validation`."
        )
    parts = np.split(np.isin(block, taken), np.cumsum([len(key) for key in keys])[:-1])
    left, held = [], []
    for (section, labels), inside in zip(sections, parts, strict=True):
        left.append(Labelled(section, np.where(inside, "", labels)))
        held.append(Labelled(section, np.where(inside, labels, "")))
    return left, held


def _blocks_to_take(block: np.ndarray, labels: np.ndarray, seed: int) -> list[int]:
    """Draw a tenth of the blocks of (n,) cells, such that each of their classes has cells in others."""
    classes, codes = np.unique(labels, return_inverse=True)
    counts = np.zeros((block.max() + 1, len(classes)), dtype=int)
    np.add.at(counts, (block, codes), 1)
    left, rng, wanted = counts.sum(0), np.random.default_rng(seed), max(round(_HELD_OUT * len(counts)), 1)
    drawn = rng.choice(len(counts), wanted, replace=False)
    taken: list[int] = []
    for one in (*drawn, *rng.permutation(np.setdiff1d(np.arange(len(counts)), drawn))):
        if len(taken) < wanted and (left > counts[one]).all():
            taken.append(one)
            left -= counts[one]
    return taken


def read_labelled(given: AnnData | str | os.PathLike, model: GeST, levels: Sequence[str]) -> list[Labelled]:
    """Read a section as the model sees it, with the labels of each of several levels.

    Raises
    ------
    UserError
        The section, or a level, cannot be read.
    """
    from gest.sections import read_section

    section = read_section(given) if isinstance(given, str | os.PathLike) else given
    with naming(given):
        labels = [labels_of(section, level) for level in levels]
        tokens = to_model_input(section, model)
    return [Labelled(tokens, of) for of in labels]


def labels_of(section: AnnData, level: str) -> np.ndarray:
    """Text labels (n,) of one level, empty where a cell has none."""
    if level not in section.obs:
        raise UserError(
            f"section: obs has no column '{level}' (it has {', '.join(section.obs) or 'nothing'}); name one that holds "
            "labels."
        )
    column = section.obs[level]
    return np.where(column.isna(), "", column.astype(str)).astype(str)
