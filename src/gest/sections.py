"""The section contract: an AnnData of one tissue section, kept as one ``.h5ad``.

``X`` is CSR float32 (counts, or log-normalised where ``uns["gest"]["x"]`` says so), ``obsm["spatial"]`` float64
(n, 2) in µm, ``obs`` holds ``section``, ``donor`` and label columns (NaN = unassigned), and names are unique.
"""

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from gest.errors import UserError, first_line
from gest.utils.files import whole_file

X_KINDS = ("counts", "normalised")


def open_h5ad(path: str | Path, *, backed: bool = False) -> ad.AnnData:
    """Open any ``.h5ad``, with `backed` leaving X on disk; raise UserError if it is missing or is not one."""
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such file, where an .h5ad is expected; check the path")
    try:
        return ad.read_h5ad(path, backed="r" if backed else None)
    # A foreign file can make the reader raise anything.
    except Exception as error:
        raise UserError(
            f"{path}: this is not a readable .h5ad ({first_line(error)}), where AnnData's format is expected; "
            "write it anew with AnnData.write_h5ad"
        ) from error


def validate(adata: ad.AnnData, *, name: str) -> ad.AnnData:
    """Check one section against the contract and return a clean copy of it.

    Cells without counts are dropped and cells sharing their coordinates are kept; both are counted in a warning.

    Parameters
    ----------
    adata
        n cells by T genes; left as it is.
    name
        What errors call the section, e.g. its file.

    Returns
    -------
    AnnData
        A copy with ``X`` CSR float32 without stored zeros, ``obsm["spatial"]`` float64 (n, 2) in µm, ``obs["section"]``
        and ``obs["donor"]`` as strings, and ``uns["gest"]["x"]`` set ("counts" unless declared otherwise).

    Raises
    ------
    UserError
        If something is missing, repeated, not finite, negative, or not a count.
    """
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise UserError(
            f"{name}: there are {adata.n_obs} cells and {adata.n_vars} genes, where a section needs both; "
            "check the section's name and the `drop` key in the dataset's config"
        )
    section = adata.copy()
    _check_unique_names(section, name)
    section.uns["gest"] = {"x": "counts", **section.uns.get("gest", {})}
    section.X = values(section, name)
    section.obsm["spatial"] = coordinates(section, name)
    _check_origin(section, name)

    # Stored values are counts alone here: values removed stored zeros.
    filled = np.diff(section.X.indptr) > 0
    if not filled.any():
        raise UserError(f"{name}: every cell is empty, where some must have counts; check the `layer` key")
    if not filled.all():
        warnings.warn(f"{name}: dropped {(~filled).sum()} of {filled.size} cells, which have no counts", stacklevel=2)
        section = section[filled].copy()
    repeated = int(pd.DataFrame(section.obsm["spatial"]).duplicated().sum())
    if repeated:
        warnings.warn(f"{name}: {repeated} of {section.n_obs} cells lie exactly on another one; kept", stacklevel=2)
    return section


def read_section(path: str | Path) -> ad.AnnData:
    """Read one section (coordinates in µm) and check it; see `validate` for the result and the errors."""
    return validate(open_h5ad(path), name=str(path))


def write_section(adata: ad.AnnData, path: str | Path) -> None:
    """Check one section and write it whole or not at all; see `validate` for the errors."""
    section = validate(adata, name=str(path))
    with whole_file(path) as partial:
        section.write_h5ad(partial, compression="gzip")


def _check_unique_names(section: ad.AnnData, name: str) -> None:
    for what, index in (("cell", section.obs_names), ("gene", section.var_names)):
        repeated = index[index.duplicated()].unique()
        if len(repeated):
            axis = "obs" if what == "cell" else "var"
            raise UserError(
                f"{name}: {len(repeated)} {what} names occur more than once (e.g. '{repeated[0]}'), where they must be "
                f"unique; keep one of each, or rename them with AnnData.{axis}_names_make_unique"
            )


def values(section: ad.AnnData, name: str) -> sp.csr_matrix:
    """Check X (n, T) and return it as CSR float32 without stored zeros; `validate` lists the errors."""
    kind = section.uns.get("gest", {}).get("x")
    if kind is not None and kind not in X_KINDS:
        raise UserError(f"{name}: x is '{kind}', where {' or '.join(X_KINDS)} is allowed; correct the `x` key")
    if section.X is None:
        raise UserError(
            f"{name}: X is missing, where counts are expected; put them there, or name "
            "their layer with the `layer` key (`gest prepare --layer`)"
        )
    X = sp.csr_matrix(section.X, dtype=np.float32)
    X.sum_duplicates()
    X.eliminate_zeros()
    if not np.isfinite(X.data).all():
        bad = int((~np.isfinite(X.data)).sum())
        raise UserError(
            f"{name}: X holds {bad} values that are NaN or infinite, where finite values ≥ 0 are allowed; "
            "remove those cells or genes, or name the layer of counts with the `layer` key (`gest prepare --layer`)"
        )
    if X.data.size and X.data.min() < 0:
        raise UserError(
            f"{name}: X goes down to {X.data.min():g}, where finite values ≥ 0 are allowed; "
            "name the layer of counts with the `layer` key (`gest prepare --layer`), for scaled values cannot be used"
        )
    fractional = X.data[X.data != np.rint(X.data)]
    if kind == "counts" and fractional.size:
        raise UserError(
            f"{name}: X holds {fractional.size} values that are no integers (e.g. {fractional[0]:g}), where counts are "
            "expected; put them back, name their layer with the `layer` key (`gest prepare --layer`), or, for a model "
            "of log-normalised data, declare `x: normalised` in the dataset's config (`gest prepare --normalised`)"
        )
    return X


def coordinates(section: ad.AnnData, name: str) -> np.ndarray:
    """Check obsm["spatial"] and return it as float64 (n, 2), µm; `validate` lists the errors."""
    if "spatial" not in section.obsm:
        raise UserError(
            f"{name}: obsm has no 'spatial' (it has {', '.join(section.obsm) or 'nothing'}), where coordinates in µm "
            "are expected; name the right key with `spatial_key` in the dataset's config (`gest prepare --spatial-key`)"
        )
    xy = np.asarray(section.obsm["spatial"], dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise UserError(
            f"{name}: obsm['spatial'] has shape {xy.shape}, where ({section.n_obs}, 2) is expected; "
            "keep the two coordinates within the section's plane"
        )
    bad = int((~np.isfinite(xy)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"{name}: obsm['spatial'] holds NaN or infinity for {bad} cells, where finite µm are expected; "
            "remove those cells from the file"
        )
    return xy


def _check_origin(section: ad.AnnData, name: str) -> None:
    for column in ("section", "donor"):
        if column not in section.obs:
            raise UserError(
                f"{name}: obs has no '{column}' (it has {', '.join(section.obs) or 'nothing'}), where every cell names "
                f"its {column}; add it, or bring the file in with `gest prepare` or, in a configuration, the "
                f"`{column}_key` key"
            )
        missing = int(section.obs[column].isna().sum())
        if missing:
            raise UserError(
                f"{name}: obs['{column}'] is missing for {missing} cells, where every cell names its {column}; "
                "fill it in or remove those cells"
            )
        section.obs[column] = section.obs[column].astype(str)
    sections = section.obs["section"].unique()
    if len(sections) != 1:
        raise UserError(
            f"{name}: obs['section'] has {len(sections)} values (e.g. '{sections[0]}', '{sections[1]}'), where a "
            "section holds one; split it with `gest prepare` (in a configuration: the `section_key` key)"
        )
