"""The section contract: an AnnData of one tissue section, stored as one ``.h5ad``.

``X`` is CSR float32 (counts, or log-normalised where ``uns["gest"]["x"]`` says so), ``obsm["spatial"]`` float64
(n, 2) in µm, ``obs`` holds ``section``, ``donor`` and label columns (NaN = unassigned). Names of cells and of genes are
unique.
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
    """Open an ``.h5ad`` without checking its contents; `backed` leaves X on disk.

    Raise UserError if the file is missing or cannot be read.

    Examples
    --------
    >>> open_h5ad("no.h5ad")
    Traceback (most recent call last):
    gest.errors.UserError: no.h5ad: file not found (expected an .h5ad); check the path
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: file not found (expected an .h5ad); check the path")
    try:
        return ad.read_h5ad(path, backed="r" if backed else None)
    # The reader may raise any exception for a file in another format.
    except Exception as error:
        raise UserError(
            f"{path}: not a readable .h5ad ({first_line(error)}); write it again with AnnData.write_h5ad"
        ) from error


def validate(adata: ad.AnnData, *, name: str) -> ad.AnnData:
    """Check one section against the contract and return a clean copy of it.

    Cells without counts are dropped; cells at the same position are kept. Warnings report how many there are of each.

    Parameters
    ----------
    adata
        n cells by T genes; it is not modified.
    name
        Name of the section in error messages, e.g. its file.

    Returns
    -------
    AnnData
        A copy: ``X`` is CSR float32 without stored zeros, ``obsm["spatial"]`` float64 (n, 2) in µm, ``obs["section"]``
        and ``obs["donor"]`` as strings, and ``uns["gest"]["x"]`` set ("counts" unless declared otherwise).

    Raises
    ------
    UserError
        If a required part is missing, names are repeated, or values are not finite, negative, or fractional although
        they are not declared as normalised.

    Examples
    --------
    >>> adata = ad.AnnData(np.array([[1, 0], [2, 3]]), obs={"section": "s1", "donor": "m1"})
    >>> adata.obsm["spatial"] = np.array([[0, 0], [20, 0]])
    >>> section = validate(adata, name="s1")
    >>> section.X.format, section.obsm["spatial"].dtype, section.uns["gest"]["x"]
    ('csr', dtype('float64'), 'counts')
    """
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise UserError(
            f"{name}: has {adata.n_obs} cells and {adata.n_vars} genes (expected some of both); "
            "check the section's name and the `drop` key in the dataset's config"
        )
    section = adata.copy()
    _check_unique_names(section, name)
    section.uns["gest"] = {"x": "counts", **section.uns.get("gest", {})}
    section.X = read_matrix(section, name)
    section.obsm["spatial"] = read_coordinates(section, name)
    _check_origin(section, name)

    # All stored values are above 0: read_matrix removed stored zeros.
    filled = np.diff(section.X.indptr) > 0
    if not filled.any():
        raise UserError(f"{name}: no cell has counts; check the `layer` key")
    if not filled.all():
        warnings.warn(f"{name}: dropped {(~filled).sum()} of {filled.size} cells, which have no counts", stacklevel=2)
        section = section[filled].copy()
    repeated = int(pd.DataFrame(section.obsm["spatial"]).duplicated().sum())
    if repeated:
        warnings.warn(
            f"{name}: {repeated} of {section.n_obs} cells lie exactly on another one and are kept", stacklevel=2
        )
    return section


def read_section(path: str | Path) -> ad.AnnData:
    """Read one section (coordinates in µm) and check it.

    See `validate` for the result and the errors.

    Examples
    --------
    >>> read_section("no.h5ad")
    Traceback (most recent call last):
    gest.errors.UserError: no.h5ad: file not found (expected an .h5ad); check the path
    """
    return validate(open_h5ad(path), name=str(path))


def write_section(adata: ad.AnnData, path: str | Path) -> None:
    """Check one section and write it; a failed write leaves no partial file.

    See `validate` for the errors.

    Examples
    --------
    >>> adata = ad.AnnData(np.array([[1, 0], [2, 3]]), obs={"section": "s1", "donor": "m1"})
    >>> adata.obsm["spatial"] = np.array([[0, 0], [20, 0]])
    >>> write_section(adata, "s1.h5ad")
    >>> read_section("s1.h5ad").shape
    (2, 2)
    """
    section = validate(adata, name=str(path))
    with whole_file(path) as partial:
        section.write_h5ad(partial, compression="gzip")


def _check_unique_names(section: ad.AnnData, name: str) -> None:
    for kind, axis, index in (("cell", "obs", section.obs_names), ("gene", "var", section.var_names)):
        repeated = index[index.duplicated()].unique()
        if len(repeated):
            raise UserError(
                f"{name}: {len(repeated)} {kind} names occur more than once (e.g. '{repeated[0]}'); "
                f"keep one of each, or rename them with AnnData.{axis}_names_make_unique"
            )


def read_matrix(section: ad.AnnData, name: str) -> sp.csr_matrix:
    """Check X (n, T) and return it as CSR float32 without stored zeros.

    See `validate` for the errors.

    Examples
    --------
    >>> read_matrix(ad.AnnData(np.array([[1, 0], [2, 3]])), "s1").data
    array([1., 2., 3.], dtype=float32)
    """
    kind = section.uns.get("gest", {}).get("x")
    if kind is not None and kind not in X_KINDS:
        raise UserError(f"{name}: x is '{kind}' (expected {' or '.join(X_KINDS)}); correct the `x` key")
    if section.X is None:
        raise UserError(
            f"{name}: X is missing (expected counts); put them there, or name "
            "their layer with the `layer` key (`gest prepare --layer`)"
        )
    X = sp.csr_matrix(section.X, dtype=np.float32)
    X.sum_duplicates()
    X.eliminate_zeros()
    if not np.isfinite(X.data).all():
        bad = int((~np.isfinite(X.data)).sum())
        raise UserError(
            f"{name}: X holds {bad} values that are NaN or infinite (expected finite values ≥ 0); "
            "remove those cells or genes, or name the layer of counts with the `layer` key (`gest prepare --layer`)"
        )
    if X.data.size and X.data.min() < 0:
        raise UserError(
            f"{name}: X goes down to {X.data.min():g} (expected finite values ≥ 0, not scaled ones); "
            "name the layer of counts with the `layer` key (`gest prepare --layer`)"
        )
    fractional = X.data[X.data != np.rint(X.data)]
    if kind == "counts" and fractional.size:
        raise UserError(
            f"{name}: X holds {fractional.size} values that are not integers (e.g. {fractional[0]:g}, expected "
            "counts); put them back, name their layer with the `layer` key (`gest prepare --layer`), or, for a model "
            "of log-normalised data, declare `x: normalised` in the dataset's config (`gest prepare --normalised`)"
        )
    return X


def read_coordinates(section: ad.AnnData, name: str) -> np.ndarray:
    """Check obsm["spatial"] and return it as float64 (n, 2), µm.

    See `validate` for the errors.

    Examples
    --------
    >>> adata = ad.AnnData(np.ones((2, 1)), obsm={"spatial": np.array([[0, 0], [20, 0]])})
    >>> read_coordinates(adata, "s1")
    array([[ 0.,  0.],
           [20.,  0.]])
    """
    if "spatial" not in section.obsm:
        raise UserError(
            f"{name}: obsm has no 'spatial' (it has {', '.join(section.obsm) or 'nothing'}) for coordinates in µm; "
            "name the right key with `spatial_key` in the dataset's config (`gest prepare --spatial-key`)"
        )
    xy = np.asarray(section.obsm["spatial"], dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise UserError(
            f"{name}: obsm['spatial'] has shape {xy.shape} (expected ({section.n_obs}, 2)); "
            "keep the two coordinates within the section's plane"
        )
    bad = int((~np.isfinite(xy)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"{name}: obsm['spatial'] holds NaN or infinity for {bad} cells (expected finite µm); "
            "remove those cells from the file"
        )
    return xy


def _check_origin(section: ad.AnnData, name: str) -> None:
    for column in ("section", "donor"):
        if column not in section.obs:
            raise UserError(
                f"{name}: obs has no '{column}' (it has {', '.join(section.obs) or 'nothing'}); add each cell's "
                f"{column}, or bring the file in with `gest prepare` or, in a configuration, the `{column}_key` key"
            )
        missing = int(section.obs[column].isna().sum())
        if missing:
            raise UserError(
                f"{name}: obs['{column}'] is missing for {missing} cells (expected for all); "
                "fill it in or remove those cells"
            )
        section.obs[column] = section.obs[column].astype(str)
    sections = section.obs["section"].unique()
    if len(sections) != 1:
        raise UserError(
            f"{name}: obs['section'] has {len(sections)} values (e.g. '{sections[0]}', '{sections[1]}'; expected one); "
            "split it with `gest prepare` (in a configuration: the `section_key` key)"
        )
