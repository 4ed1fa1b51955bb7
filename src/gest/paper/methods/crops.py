"""Choose test crops: regions of a section whose cells are hidden (section 4.1; decisions 20, 26 and 27)."""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData

from gest.data.cut import inside
from gest.errors import UserError

_DRAWS = 10_000
_MOST_OF_SECTION = 0.5  # a crop hides at most half of the cells


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One test crop: the cells of a section that are hidden at the same time."""

    crop: str
    """Name, unique in its section."""
    cells: tuple[str, ...]
    """Names of the hidden cells."""
    shape: str
    """Description of its shape and position."""

    def unseen(self, adata: AnnData) -> np.ndarray:
        """Return (n,) booleans, true for the section's cells that the crop hides."""
        return np.asarray(adata.obs_names.isin(self.cells))


def make_crops(adata: AnnData, settings: Mapping[str, Any]) -> list[Crop]:
    """Choose the crops of one section by the settings in `generation.crops`.

    Parameters
    ----------
    adata
        The section, `obsm["spatial"]` in µm.
    settings
        ``polygon``: one crop, vertices (v, 2) in fractions of the section's extent; or ``nearest``: one crop, the ``n``
        cells nearest to a ``centre`` (2,) in the same fractions; or else ``n`` random squares with ``sides`` and
        ``min_cells`` (`draw_squares`), seeded by the section's name.

    Raises
    ------
    UserError
        A crop would hide no cell or more than half of them, or there are not enough squares.
    """
    xy, name = np.asarray(adata.obsm["spatial"]), str(adata.obs["section"].iloc[0])
    if settings.get("polygon"):
        hidden = [(inside(xy, settings["polygon"]), "polygon")]
    elif settings.get("nearest"):
        centre, n = settings["nearest"]["centre"], settings["nearest"]["n"]
        point = xy.min(0) + np.ptp(xy, axis=0) * centre
        order = np.argsort(np.linalg.norm(xy - point, axis=1), kind="stable")
        hidden = [(np.isin(np.arange(len(xy)), order[:n]), f"the {n} nearest to ({point[0]:.0f}, {point[1]:.0f}) µm")]
    else:
        squares = {key: settings[key] for key in ("n", "sides", "min_cells")}
        hidden = draw_squares(xy, name=name, **squares)
    for mask, shape in hidden:
        if not 0 < mask.sum() <= _MOST_OF_SECTION * len(xy):
            raise UserError(
                f"generation.crops: {shape} hides {mask.sum()} of {len(xy)} cells of section '{name}' (expected at "
                "least one and at most half); change the crops in the config."
            )
    return [
        Crop(crop=str(i), cells=tuple(adata.obs_names[mask]), shape=shape) for i, (mask, shape) in enumerate(hidden)
    ]


def draw_squares(
    xy: np.ndarray, *, name: str, n: int, sides: Sequence[float], min_cells: int, seed: int = 0
) -> list[tuple[np.ndarray, str]]:
    """Draw n random squares, each around a cell of a section; they may overlap.

    Parameters
    ----------
    xy
        (cells, 2) positions in µm.
    name
        Name of the section; together with `seed` it seeds the random draws.
    sides
        Shortest and longest side in µm; sides are drawn uniformly between them.
    min_cells
        A square with fewer cells than this, or with more than half of the section's cells, is drawn again.

    Returns
    -------
    Per square, (cells,) booleans of the cells within, and a description of its shape and position.

    Raises
    ------
    UserError
        Too few squares with enough cells are found.
    """
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    squares: list[tuple[np.ndarray, str]] = []
    for _ in range(_DRAWS):
        side = rng.uniform(*sides)
        low = xy[rng.integers(len(xy))] - rng.uniform(0, side, 2)  # the cell lies anywhere in its square
        within = ((xy >= low) & (xy < low + side)).all(1)
        if min_cells <= within.sum() <= _MOST_OF_SECTION * len(xy):
            squares.append((within, f"square of {side:.0f} µm at ({low[0]:.0f}, {low[1]:.0f}) µm"))
        if len(squares) == n:
            return squares
    raise UserError(
        f"generation.crops: section '{name}' ({len(xy)} cells) has no {n} squares of {sides[0]:g} to {sides[1]:g} µm "
        f"with at least {min_cells} cells and at most half of all; change the crops in the config."
    )


def write_crops(crops: Sequence[Crop], path: str | os.PathLike) -> None:
    """Write crops as JSON."""
    Path(path).write_text(json.dumps([asdict(crop) for crop in crops], indent=1) + "\n")


def read_crops(path: str | os.PathLike) -> list[Crop]:
    """Read crops that `write_crops` wrote.

    Raises
    ------
    UserError
        The file is missing or is not a list of crops.
    """
    try:
        records = json.loads(Path(path).read_text())
        return [Crop(**record | {"cells": tuple(record["cells"])}) for record in records]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: cannot read crops ({error}); create them with `gest paper crops`.") from error
