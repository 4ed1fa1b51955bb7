"""Sections out of any user's ``.h5ad``, or SpatialData, whether it holds one section or many."""

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
    """Read one section of an ``.h5ad``, whose X stays on disk but for the section's rows, or of a SpatialData table.

    Parameters
    ----------
    path
        The ``.h5ad`` or ``.zarr``, of one or many sections.
    name
        The section: the value of ``obs[section_key]``, or what to call a file that is one section.
    section_key, donor_key
        Columns of ``obs`` naming section and donor. Without `section_key` the whole file is the section; without
        `donor_key` the section stands for its own donor.
    labels
        Level of annotation (e.g. "region") to the column of ``obs`` that holds it; an empty string is unassigned.
    unassigned
        Other values of labels that stand for none.
    microns_per_unit
        Length of the file's unit of coordinates in µm; needed where the file says that it counts in pixels.
    x
        What the matrix holds, "counts" or "normalised" (log-normalised).
    layer
        Layer to take in the place of X.
    spatial_key
        Key of ``obsm`` with the coordinates, (n, 2).
    drop
        Column of ``obs`` to the values whose cells are left out.

    Returns
    -------
    AnnData
        One section as `gest.sections.validate` returns it; ``obs`` holds section, donor and the levels of `labels`.

    Raises
    ------
    UserError
        If the file, the section, a key or the unit is missing, or the section breaks the contract.
    """
    if x not in X_KINDS:
        raise UserError(f"{path}: x is '{x}', where {' or '.join(X_KINDS)} is allowed; correct the `x` key")
    if microns_per_unit is not None and not (math.isfinite(microns_per_unit) and microns_per_unit > 0):
        raise UserError(
            f"{path}: microns_per_unit is {microns_per_unit}, where a finite length above 0 is allowed; correct the key"
        )
    file = open_file(path, backed=True)
    try:
        rows = _rows(file, path, name, section_key, drop or {})
        _require(layer, file.layers, path, "layers", "layer")
        _require(spatial_key, file.obsm, path, "obsm", "spatial_key")
        stored = None if file.isbacked and "X" not in file.file else file.X
        matrix = stored if layer is None else file.layers[layer]
        section = ad.AnnData(
            X=None if matrix is None else matrix[rows],
            obs=_obs(file.obs.iloc[rows], path, name, donor_key, labels or {}, unassigned),
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
    if told := implausible(section.obsm["spatial"]):
        warnings.warn(
            f"{path}, section '{name}': {told}; set `microns_per_unit` in the dataset's config, or `gest prepare "
            "--microns-per-unit`, if the coordinates are not µm",
            stacklevel=2,
        )
    return section


def names_of(path: str | Path, section_key: str) -> list[str]:
    """Return the names of the sections of a file, the values of ``obs[section_key]``, in the order they come in.

    Cells without a value are of no section; they are counted in a warning.

    Raises
    ------
    UserError
        There is no such column, or no value in it.
    """
    file = open_file(path, backed=True)
    file.file.close()
    _require(section_key, file.obs, path, "obs", "section_key")
    sections = file.obs[section_key]
    if without := int(sections.isna().sum()):
        told = f"{path}: obs['{section_key}'] is missing for {without} of {len(sections)} cells"
        if without == len(sections):
            raise UserError(f"{told}, where it names their section; fill it in, or give another `--section-key`")
        warnings.warn(f"{told}, which are left out: they belong to no section", stacklevel=2)
    return [str(name) for name in sections.dropna().unique()]


def _rows(
    file: ad.AnnData, path: str | Path, name: str, section_key: str | None, drop: Mapping[str, Sequence[Any]]
) -> np.ndarray:
    """Return the indices of the section's cells in the file, the dropped ones left out."""
    keep = np.ones(file.n_obs, dtype=bool)
    if section_key is not None:
        _require(section_key, file.obs, path, "obs", "section_key")
        sections = file.obs[section_key].dropna().astype(str)
        if name not in set(sections):
            raise UserError(
                f"{path}: there is no section '{name}' in obs['{section_key}'], which has {_some(sections.unique())}; "
                "name one of these in the dataset's config"
            )
        keep = (file.obs[section_key].astype(str) == name).to_numpy()
    for column, values in drop.items():
        _require(column, file.obs, path, "obs", "drop")
        # Compared as text too: a configuration's 1 may be a file's "1".
        dropped = file.obs[column].isin(values) | file.obs[column].astype(str).isin([str(value) for value in values])
        log.info("%s, section '%s': dropped %d cells by %s in %s", path, name, (keep & dropped).sum(), column, values)
        keep = keep & ~dropped.to_numpy()
    return np.flatnonzero(keep)


def _obs(
    obs: pd.DataFrame,
    path: str | Path,
    name: str,
    donor_key: str | None,
    labels: Mapping[str, str],
    unassigned: Sequence[str],
) -> pd.DataFrame:
    """Return the section's own columns: section, donor and one per level of annotation."""
    columns: dict[str, Any] = {"section": name, "donor": name}
    if donor_key is not None:
        _require(donor_key, obs, path, "obs", "donor_key")
        columns["donor"] = obs[donor_key]
    for level, column in labels.items():
        _require(column, obs, path, "obs", "labels")
        text = obs[column].astype(object).map(str, na_action="ignore")
        # The empty index of categories needs its type, so that a level without any label can be written too.
        categories = pd.Index(sorted(set(text.dropna()) - {"", *unassigned}), dtype=object)
        columns[level] = pd.Categorical(text, categories=categories)
    return pd.DataFrame(columns, index=obs.index.astype(str))


def _require(key: str | None, there: Iterable[str], path: str | Path, where: str, setting: str) -> None:
    """Raise UserError if a configured key is not among those of the file."""
    if key is not None and key not in there:
        option = setting.removesuffix("s").replace("_", "-")
        typed = "" if setting == "drop" else f" (`gest prepare --{option}`)"
        raise UserError(
            f"{path}: {where} has no '{key}' (it has {_some(there)}); correct the `{setting}` key in the dataset's "
            f"config{typed}"
        )


def _some(names: Iterable[str], limit: int = 20) -> str:
    """Return the first names as text, and how many more there are."""
    names = [str(name) for name in names]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "nothing") + more
