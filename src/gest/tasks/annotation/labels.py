"""Labelled sections for training: read them, draw some of their labels, hold out blocks of tissue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from gest.data.read_for_model import to_model_input
from gest.errors import UserError, naming
from gest.model import GeST
from gest.windows import Tokens

if TYPE_CHECKING:
    from anndata import AnnData

_HELD_OUT = 0.1  # share of the blocks


@dataclass(frozen=True, kw_only=True)
class LabelledSection:
    """A section for training: all cells are context, and labelled cells are targets."""

    tokens: Tokens
    labels: np.ndarray
    """(n,) text, empty where a cell has no label."""


def read_labelled(section: AnnData | str | os.PathLike, model: GeST, levels: Sequence[str]) -> list[LabelledSection]:
    """Read a section or its file for a model, once with the labels of each level.

    Raises
    ------
    UserError
        The section cannot be read, or lacks a level.
    """
    from gest.sections import read_section

    adata = read_section(section) if isinstance(section, str | os.PathLike) else section
    with naming(section):
        labels = [read_labels(adata, level) for level in levels]
        tokens = to_model_input(adata, model)
    return [LabelledSection(tokens=tokens, labels=of_level) for of_level in labels]


def read_labels(section: AnnData, level: str) -> np.ndarray:
    """Read the labels of one level as text (n,), empty where a cell has none."""
    if level not in section.obs:
        columns = ", ".join(section.obs) or "none"
        raise UserError(f"section: obs has no column '{level}' (its columns: {columns}); name one that holds labels.")
    column = section.obs[level]
    return np.where(column.isna(), "", column.astype(str)).astype(str)


def draw_labels(labels: Sequence[np.ndarray], n: int | None, *, seed: int) -> list[np.ndarray]:
    """Keep at most n labels of all sections together, drawn at random.

    The other labels become empty. None keeps all labels.
    """
    if n is not None and not (isinstance(n, Integral) and n >= 1):
        raise UserError(
            f"annotation.training_cells: {n!r} is out of range (expected a whole number above 0, or null for all)."
        )
    is_labelled = np.concatenate([of_section != "" for of_section in labels])
    if n is not None and n < is_labelled.sum():
        drawn = np.random.default_rng(seed).choice(np.flatnonzero(is_labelled), n, replace=False)
        is_labelled[:] = False
        is_labelled[drawn] = True
    kept = np.split(is_labelled, np.cumsum([len(of_section) for of_section in labels])[:-1])
    return [np.where(keep, of_section, "") for keep, of_section in zip(kept, labels, strict=True)]


def draw_labelled(sections: Sequence[LabelledSection], n: int | None, *, seed: int) -> list[LabelledSection]:
    """Keep at most n labels of all sections together; see `draw_labels`."""
    drawn = draw_labels([section.labels for section in sections], n, seed=seed)
    return [replace(section, labels=labels) for section, labels in zip(sections, drawn, strict=True)]


def hold_out_blocks(
    sections: Sequence[LabelledSection], side: float, seed: int
) -> tuple[list[LabelledSection], list[LabelledSection]]:
    """Hold out the labels of a tenth of all square blocks of the sections.

    A block that holds all remaining cells of a class is never drawn; another block replaces it.

    Parameters
    ----------
    side
        Side of a block, µm. Only blocks with labelled cells count.

    Returns
    -------
    The sections with only the labels for training, and the sections with only the held-out labels.

    Raises
    ------
    UserError
        There are fewer than two blocks, or each holds all cells of a class.
    """
    blocks = _number_blocks(sections, side)
    labels = np.concatenate([section.labels for section in sections])
    is_labelled = labels != ""
    filled = np.unique(blocks[is_labelled])
    if len(filled) < 2:
        raise UserError(
            f"annotation: the labelled cells fill {len(filled)} square blocks of {side:g} µm (expected at least 2: one "
            "is held out, another learnt from); label more of the tissue, or give sections as `validation`."
        )
    held_out = filled[_draw_blocks(np.searchsorted(filled, blocks[is_labelled]), labels[is_labelled], seed)]
    if not len(held_out):
        raise UserError(
            f"annotation: each of the {len(filled)} square blocks of {side:g} µm holds all cells of a class, so that "
            "none can be held out; label more of the tissue, or give sections as `validation`."
        )
    ends = np.cumsum([len(section.labels) for section in sections])[:-1]
    to_learn, to_hold_out = [], []
    for section, inside in zip(sections, np.split(np.isin(blocks, held_out), ends), strict=True):
        to_learn.append(replace(section, labels=np.where(inside, "", section.labels)))
        to_hold_out.append(replace(section, labels=np.where(inside, section.labels, "")))
    return to_learn, to_hold_out


def _number_blocks(sections: Sequence[LabelledSection], side: float) -> np.ndarray:
    """Return the number of the square block of every cell (n,) of all sections."""
    keys = []
    for i, section in enumerate(sections):
        xy = section.tokens.xy
        squares = np.floor((xy - xy.min(0)) / side).astype(int)
        keys.append(np.column_stack((np.full(len(xy), i), squares)))
    return np.unique(np.concatenate(keys), axis=0, return_inverse=True)[1]


def _draw_blocks(blocks: np.ndarray, labels: np.ndarray, seed: int) -> list[int]:
    """Draw a tenth of the blocks, so that every class keeps cells in the others.

    Parameters
    ----------
    blocks, labels
        (n,) the block and the label of every labelled cell.
    """
    classes, codes = np.unique(labels, return_inverse=True)
    counts = np.zeros((blocks.max() + 1, len(classes)), dtype=int)
    np.add.at(counts, (blocks, codes), 1)
    remaining, rng, n_wanted = counts.sum(0), np.random.default_rng(seed), max(round(_HELD_OUT * len(counts)), 1)
    first = rng.choice(len(counts), n_wanted, replace=False)
    others = rng.permutation(np.setdiff1d(np.arange(len(counts)), first))
    drawn: list[int] = []
    for block in (*first, *others):
        if len(drawn) < n_wanted and (remaining > counts[block]).all():
            drawn.append(block)
            remaining -= counts[block]
    return drawn
