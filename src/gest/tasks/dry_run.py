"""Check the inputs of a command and describe its work without doing it (`--dry-run`)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gest.config import Config
from gest.data.as_tokens import as_tokens
from gest.data.read_for_model import read_for_model
from gest.data.training_sections import Sections, stream
from gest.model import GeST
from gest.tasks.embed import check_window
from gest.training.batches import Windows
from gest.training.reporting import describe_training
from gest.training.vocabulary import VocabularySettings, cap_metacells
from gest.utils.settings import read_settings
from gest.vocabulary import Vocabulary
from gest.windows import Grid

if TYPE_CHECKING:
    from anndata import AnnData

_SAMPLE = 200  # about this many cells, at regular indices: the cells in their windows are counted


def plan(section: AnnData, model: GeST, *, window: float | None = None) -> str:
    """Check a section as the commands that use a model do, and describe its size.

    Parameters
    ----------
    section
        The section, or only those of its cells that are seen.
    window
        Side of the square around a cell, µm; that of training by default.

    Raises
    ------
    UserError
        The window, the coordinates, the genes or the counts are invalid, as the command itself would report.
    """
    check_window(window, model.config.window)
    read = read_for_model(section, model.vocabulary, empty_cells="their profiles are empty")
    side = window or model.config.window
    grid = Grid(read.xy, side)
    sample = read.xy[:: max(len(read.xy) // _SAMPLE, 1)]
    cells_per_window = np.median([len(grid.window(centre, side)) for centre in sample])
    is_shared = read.columns >= 0
    n_parameters = sum(p.numel() for p in model.parameters())
    return (
        f"{len(read.xy):,} cells, {is_shared.sum()} of the model's {len(is_shared)} genes, windows of {side:g} µm with "
        f"{cells_per_window:.0f} cells (median), {n_parameters:,} parameters on {model.device}"
    )


def plan_vocabulary(sections: Sections, settings: Mapping[str, Any]) -> str:
    """Check the inputs of `fit_sections` and describe the vocabulary to fit."""
    chosen = read_settings(VocabularySettings, settings, "vocabulary")
    n_cells, n_genes = 0, 0
    for section in stream(sections):
        n_cells, n_genes = n_cells + section.n_obs, section.n_vars
    n_metacells = cap_metacells(chosen.n_metacells, n_cells)
    kept = f"{n_genes} genes"
    if chosen.n_genes:
        kept = f"the {chosen.n_genes} most variable of {n_genes} genes, and markers"
    return f"{n_metacells:,} meta cells of {n_cells:,} cells, sections: {len(sections)}; {kept}"


def plan_training(
    sections: Sequence[Any], vocabulary: Vocabulary, config: Any, *, validation: Sequence[Any] = ()
) -> str:
    """Check the inputs of `gest.pretrain` and describe the training."""
    config = Config.of(config)
    with tempfile.TemporaryDirectory() as folder:
        training = as_tokens(sections, vocabulary, config, Path(folder))
        held_out = as_tokens(validation, vocabulary, config, Path(folder))
        for group in (training, held_out):
            if group:
                Windows(group, config, seed=0)  # raises if there are too few cells
        return describe_training(GeST(config, vocabulary), training, held_out)
