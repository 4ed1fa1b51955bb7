"""What a verb would do: all its inputs checked, nothing run."""

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
from gest.training.pretrain import outline
from gest.training.vocabulary import VocabularySettings, cap_metacells
from gest.utils.settings import read_settings
from gest.vocabulary import Vocabulary
from gest.windows import Grid

if TYPE_CHECKING:
    from anndata import AnnData

_LOOKED_AT = 200  # cells, evenly spread, to tell how many others their windows hold


def plan(section: AnnData, model: GeST, *, window: float | None = None) -> str:
    """Check a section as the verbs do, and say how much there is to do.

    Parameters
    ----------
    section
        The cells that are seen.
    window
        Side of the square around a cell, µm; that of training by default.

    Raises
    ------
    UserError
        What they would raise of the window and of its coordinates, genes and counts.
    """
    check_window(window, model.config.window)
    read = read_for_model(section, model.vocabulary, empty_cells="they tell the model nothing of themselves")
    xy, side = read.xy, window or model.config.window
    found = read.columns >= 0
    grid = Grid(xy, side)
    some = xy[:: max(len(xy) // _LOOKED_AT, 1)]
    near = np.median([len(grid.window(centre, side)) for centre in some])
    return (
        f"{len(xy):,} cells, {found.sum()} of the model's {len(found)} genes, windows of {side:g} µm with {near:.0f} "
        f"cells (median), {sum(p.numel() for p in model.parameters()):,} parameters on {model.device}"
    )


def plan_vocabulary(sections: Sections, settings: Mapping[str, Any]) -> str:
    """Check training sections and settings as `gest.vocabulary.fit_sections` does, and say what comes of them."""
    chosen, cells, genes = read_settings(VocabularySettings, settings, "vocabulary"), 0, 0
    for section in stream(sections):
        cells, genes = cells + section.n_obs, section.n_vars
    kept = f"the {chosen.n_genes} most variable of {genes} genes, and markers" if chosen.n_genes else f"{genes} genes"
    n = cap_metacells(chosen.n_metacells, cells)
    return f"{n:,} meta cells of {cells:,} cells, sections: {len(sections)}; {kept}"


def plan_training(
    sections: Sequence[Any], vocabulary: Vocabulary, config: Any, *, validation: Sequence[Any] = ()
) -> str:
    """Check what `gest.pretrain` is given, and say what it would do; parameters as there."""
    config = Config.of(config)
    with tempfile.TemporaryDirectory() as folder:
        training, held_out = (as_tokens(given, vocabulary, config, Path(folder)) for given in (sections, validation))
        for given in filter(None, (training, held_out)):
            Windows(given, config, seed=0)  # needs cells
        return outline(GeST(config, vocabulary), training, held_out)
