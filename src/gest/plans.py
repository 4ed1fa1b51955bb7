"""What a verb would do with a section: all its inputs checked, nothing run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gest.given import places
from gest.model import GeST
from gest.tokens import expression, match_genes
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
        What they would raise of its coordinates, genes and counts.
    """
    xy, side = places(section), window or model.config.window
    expression(section, model.vocabulary)
    found = match_genes(section, model.vocabulary) >= 0
    grid = Grid(xy, side)
    some = xy[:: max(len(xy) // _LOOKED_AT, 1)]
    near = np.median([len(grid.window(centre, side)) for centre in some])
    return (
        f"{len(xy):,} cells, {found.sum()} of the model's {len(found)} genes, windows of {side:g} µm with {near:.0f} "
        f"cells (median), {sum(p.numel() for p in model.parameters()):,} parameters on {model.device}"
    )
