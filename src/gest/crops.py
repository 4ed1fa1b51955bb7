"""Test crops: squares of a section whose cells count as unseen (section 4.1, decision 20)."""

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gest.errors import UserError

_DRAWS = 10_000
_MOST_OF_SECTION = 0.5  # a crop hides at most half of the cells


class Crop(NamedTuple):
    """A square: its lower left corner and its side, µm."""

    crop: str
    x: float
    y: float
    side: float

    def contains(self, xy: np.ndarray) -> np.ndarray:
        """(n,) booleans: which of the cells at xy (n, 2), µm, lie inside."""
        low = np.array([self.x, self.y])
        return ((xy >= low) & (xy < low + self.side)).all(1)


def draw_crops(
    xy: np.ndarray, *, name: str, n: int, sides: Sequence[float], min_cells: int, seed: int = 0
) -> list[Crop]:
    """Draw n random squares around cells of a section; they may overlap, each is a test of its own.

    Parameters
    ----------
    xy
        (cells, 2) µm.
    name
        The section; with `seed` it decides the crops.
    sides
        Shortest and longest side, µm; sides are uniform between them.
    min_cells
        A square with fewer cells is drawn again, as is one with more than half of the section.

    Raises
    ------
    UserError
        No such squares in this section.
    """
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    crops: list[Crop] = []
    for _ in range(_DRAWS):
        side = rng.uniform(*sides)
        corner = xy[rng.integers(len(xy))] - rng.uniform(0, side, 2)  # a cell stands anywhere in its square
        crop = Crop(str(len(crops)), float(corner[0]), float(corner[1]), float(side))
        if min_cells <= crop.contains(xy).sum() <= _MOST_OF_SECTION * len(xy):
            crops.append(crop)
        if len(crops) == n:
            return crops
    raise UserError(
        f"crops: section '{name}' ({len(xy)} cells) has no {n} squares of {sides[0]:g} to {sides[1]:g} µm with at "
        f"least {min_cells} cells and at most half of all; change 'generation.crops' in the config."
    )


def write_crops(crops: Sequence[Crop], path: str | os.PathLike) -> None:
    """Write crops as JSON."""
    Path(path).write_text(json.dumps([crop._asdict() for crop in crops], indent=2) + "\n")


def read_crops(path: str | os.PathLike) -> list[Crop]:
    """Read what `write_crops` wrote.

    Raises
    ------
    UserError
        No such file, or not of crops.
    """
    try:
        return [Crop(**crop) for crop in json.loads(Path(path).read_text())]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: crops cannot be read ({error}); make them with `gest crops`.") from error
