"""Read sections from an ``.h5ad`` or SpatialData of the user, which may hold one section or many."""

import logging
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from gest.data.checks import check_unit, implausible
from gest.data.sources.open_file import open_file
from gest.errors import UserError
from gest.sections import X_KINDS, validate

log = logging.getLogger(__name__)


def read(
    path: str | Path,
    *,
    name: str,
    section_key: str | None = None,
    donor_key: str | None = None,
    labels: Mapping[str, str] | None = None,
    unassigned: Sequence[str] = (),
    microns_per_unit: float | None = None,
    x: str = "counts",
    layer: str | None = None,
    spatial_key: str = "spatial",
    drop: Mapping[str, Sequence[Any]] | None = None,
) -> ad.AnnData:
    """Read one section of an ``.h5ad`` or of a SpatialData table.

    Only the section's rows of X are read from an ``.h5ad``.

    Parameters
    ----------
    path
        The ``.h5ad`` or ``.zarr``, which holds one section or many.
    name
        Name of the section: its value in ``obs[section_key]``; without `section_key`, any name.
    section_key, donor_key
        Columns of ``obs`` with the names of section and donor. Without `section_key`, the whole file is one section;
        without `donor_key`, the donor gets the section's name.
    labels
        Maps each level of annotation (e.g. "region") to the column of ``obs`` that holds it. Empty strings count as
        missing.
    unassigned
        Further labels that count as missing.
    microns_per_unit
        Micrometres per unit of the file's coordinates; required if the file declares pixels.
    x
        What the matrix holds: "counts" or "normalised" (log-normalised values).
    layer
        Layer to read instead of X.
    spatial_key
        Key of ``obsm`` with the coordinates, (n, 2).
    drop
        Maps columns of ``obs`` to values; cells with one of these values are dropped.

    Returns
    -------
    AnnData
        One section as `gest.sections.validate` returns it; ``obs`` holds section, donor and the levels of `labels`.

    Raises
    ------
    UserError
        The file, the section, a key or the unit is missing; a setting is out of range; or the section is invalid
        (`gest.sections.validate`).
    """
    if x not in X_KINDS:
        raise UserError(f"{path}: x is '{x}' (expected {' or '.join(X_KINDS)}); correct the `x` key")
    if microns_per_unit is not None and not (math.isfinite(microns_per_unit) and microns_per_unit > 0):
        raise UserError(
            f"{path}: microns_per_unit is {microns_per_unit} (expected a finite length above 0); correct the key"
        )
    file = open_file(path, backed=True)
    try:
        rows = _find_rows(file, path, name, section_key, drop or {})
        _require(spatial_key, file.obsm, path, "obsm", "spatial_key")
        section = ad.AnnData(
            X=_read_rows(file, rows, layer, path),
            obs=_read_obs(file.obs.iloc[rows], path, name, donor_key, labels or {}, unassigned),
            var=file.var.copy(),
            obsm={"spatial": np.asarray(file.obsm[spatial_key], dtype=np.float64)[rows]},
            uns={"gest": {"x": x}},
        )
        if microns_per_unit is None:
            check_unit(file.uns, path)
        else:
            section.obsm["spatial"] *= microns_per_unit
    finally:
        file.file.close()
    section = validate(section, name=f"{path}, section '{name}'")
    if problem := implausible(section.obsm["spatial"]):
        warnings.warn(
            f"{path}, section '{name}': {problem}; set `microns_per_unit` in the dataset's config, or `gest prepare "
            "--microns-per-unit`, if the coordinates are not µm",
            stacklevel=2,
        )
    return section


def names_of(path: str | Path, section_key: str) -> list[str]:
    """List the names of a file's sections, in order of appearance.

    The names are the values of ``obs[section_key]``. A warning reports how many cells have no value.

    Raises
    ------
    UserError
        The column is missing, or no cell has a value.
    """
    file = open_file(path, backed=True)
    file.file.close()
    _require(section_key, file.obs, path, "obs", "section_key")
    sections = file.obs[section_key]
    if n_missing := int(sections.isna().sum()):
        problem = f"{path}: obs['{section_key}'] is missing for {n_missing} of {len(sections)} cells"
        if n_missing == len(sections):
            raise UserError(
                f"{problem} (expected the name of its section); fill it in, or choose another --section-key"
            )
        warnings.warn(f"{problem}; they belong to no section and are left out", stacklevel=2)
    return [str(name) for name in sections.dropna().unique()]


def _find_rows(
    file: ad.AnnData, path: str | Path, name: str, section_key: str | None, drop: Mapping[str, Sequence[Any]]
) -> np.ndarray:
    """Find the rows of the section's cells in the file, without dropped cells."""
    keep = np.ones(file.n_obs, dtype=bool)
    if section_key is not None:
        _require(section_key, file.obs, path, "obs", "section_key")
        sections = file.obs[section_key].dropna().astype(str)
        if name not in set(sections):
            raise UserError(
                f"{path}: no section '{name}' in obs['{section_key}'] (it has {_first_names(sections.unique())}); "
                "name one of these in the dataset's config"
            )
        keep = (file.obs[section_key].astype(str) == name).to_numpy()
    for column, values in drop.items():
        _require(column, file.obs, path, "obs", "drop")
        # Values are also compared as text: 1 in the configuration may be "1" in the file.
        dropped = file.obs[column].isin(values) | file.obs[column].astype(str).isin([str(value) for value in values])
        log.info("%s, section '%s': dropped %d cells by %s in %s", path, name, (keep & dropped).sum(), column, values)
        keep = keep & ~dropped.to_numpy()
    return np.flatnonzero(keep)


def _read_rows(file: ad.AnnData, rows: np.ndarray, layer: str | None, path: str | Path) -> Any:
    """Read rows of a layer, or of X; return None if the file has no X."""
    _require(layer, file.layers, path, "layers", "layer")
    if layer is not None:
        return file.layers[layer][rows]
    if file.isbacked and "X" not in file.file:
        return None
    return None if file.X is None else file.X[rows]


def _read_obs(
    obs: pd.DataFrame,
    path: str | Path,
    name: str,
    donor_key: str | None,
    labels: Mapping[str, str],
    unassigned: Sequence[str],
) -> pd.DataFrame:
    """Make the section's ``obs``: section, donor and one column per level of labels."""
    columns: dict[str, Any] = {"section": name, "donor": name}
    if donor_key is not None:
        _require(donor_key, obs, path, "obs", "donor_key")
        columns["donor"] = obs[donor_key]
    for level, column in labels.items():
        _require(column, obs, path, "obs", "labels")
        text = obs[column].astype(object).map(str, na_action="ignore")
        # The index needs a type even if it is empty; otherwise a level without any label could not be written.
        categories = pd.Index(sorted(set(text.dropna()) - {"", *unassigned}), dtype=object)
        columns[level] = pd.Categorical(text, categories=categories)
    return pd.DataFrame(columns, index=obs.index.astype(str))


def _require(key: str | None, present: Iterable[str], path: str | Path, where: str, setting: str) -> None:
    """Raise UserError if a configured key is missing from the file."""
    if key is not None and key not in present:
        option = setting.removesuffix("s").replace("_", "-")
        command = "" if setting == "drop" else f" (`gest prepare --{option}`)"
        raise UserError(
            f"{path}: {where} has no '{key}' (it has {_first_names(present)}); correct the `{setting}` key in the "
            f"dataset's config{command}"
        )


def _first_names(names: Iterable[str], limit: int = 20) -> str:
    """List the first names, and say how many more there are."""
    names = [str(name) for name in names]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "nothing") + more
