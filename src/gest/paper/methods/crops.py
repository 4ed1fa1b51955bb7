"""Test crops: cells of a section that count as unseen (section 4.1, decisions 20, 26 and 27)."""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from anndata import AnnData

from gest.data.cut import inside
from gest.errors import UserError

_DRAWS = 10_000
_MOST_OF_SECTION = 0.5  # a crop hides at most half of the cells


class Crop(NamedTuple):
    """Cells of a section that are hidden together."""

    crop: str
    cells: tuple[str, ...]
    """Their names."""
    shape: str
    """Where they lie, in words."""

    def unseen(self, adata: AnnData) -> np.ndarray:
        """(n,) booleans: which of a section's cells are hidden."""
        return np.asarray(adata.obs_names.isin(self.cells))


def make_crops(adata: AnnData, settings: Mapping[str, Any]) -> list[Crop]:
    """Make the crops of one section, as `generation.crops` of the configuration describes them.

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
        There are no such cells or squares in this section.
    """
    xy, name = np.asarray(adata.obsm["spatial"]), str(adata.obs["section"].iloc[0])
    if settings.get("polygon"):
        hidden = [(inside(xy, settings["polygon"]), "polygon")]
    elif settings.get("nearest"):
        centre, n = settings["nearest"]["centre"], settings["nearest"]["n"]
        place = xy.min(0) + np.ptp(xy, axis=0) * centre
        order = np.argsort(np.linalg.norm(xy - place, axis=1), kind="stable")
        hidden = [(np.isin(np.arange(len(xy)), order[:n]), f"the {n} nearest to ({place[0]:.0f}, {place[1]:.0f}) µm")]
    else:
        squares = {key: settings[key] for key in ("n", "sides", "min_cells")}
        hidden = draw_squares(xy, name=name, **squares)
    for mask, shape in hidden:
        if not 0 < mask.sum() <= _MOST_OF_SECTION * len(xy):
            raise UserError(
                f"crops: section '{name}', {shape}, hides {mask.sum()} of {len(xy)} cells, where at least one and at "
                "most half of all are allowed; change 'generation.crops' in the config."
            )
    return [Crop(str(i), tuple(adata.obs_names[mask]), shape) for i, (mask, shape) in enumerate(hidden)]


def draw_squares(
    xy: np.ndarray, *, name: str, n: int, sides: Sequence[float], min_cells: int, seed: int = 0
) -> list[tuple[np.ndarray, str]]:
    """Draw n random squares around cells of a section; they may overlap, each is a test of its own.

    Parameters
    ----------
    xy
        (cells, 2) µm.
    name
        The section; with `seed` it decides the squares.
    sides
        Shortest and longest side, µm; sides are uniform between them.
    min_cells
        A square with fewer cells is drawn again, as is one with more than half of the section.

    Returns
    -------
    Of each square, (cells,) booleans of what lies in it, and where it lies in words.

    Raises
    ------
    UserError
        No such squares in this section.
    """
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    squares: list[tuple[np.ndarray, str]] = []
    for _ in range(_DRAWS):
        side = rng.uniform(*sides)
        low = xy[rng.integers(len(xy))] - rng.uniform(0, side, 2)  # a cell stands anywhere in its square
        within = ((xy >= low) & (xy < low + side)).all(1)
        if min_cells <= within.sum() <= _MOST_OF_SECTION * len(xy):
            squares.append((within, f"square of {side:.0f} µm at ({low[0]:.0f}, {low[1]:.0f}) µm"))
        if len(squares) == n:
            return squares
    raise UserError(
        f"crops: section '{name}' ({len(xy)} cells) has no {n} squares of {sides[0]:g} to {sides[1]:g} µm with at "
        f"least {min_cells} cells and at most half of all; change 'generation.crops' in the config."
    )


def write_crops(crops: Sequence[Crop], path: str | os.PathLike) -> None:
    """Write crops as JSON."""
    Path(path).write_text(json.dumps([crop._asdict() for crop in crops], indent=1) + "\n")


def read_crops(path: str | os.PathLike) -> list[Crop]:
    """Read what `write_crops` wrote.

    Raises
    ------
    UserError
        No such file, or not of crops.
    """
    try:
        read = [Crop(**crop) for crop in json.loads(Path(path).read_text())]
        return [crop._replace(cells=tuple(crop.cells)) for crop in read]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: crops cannot be read ({error}); make them with `gest paper crops`.") from error
