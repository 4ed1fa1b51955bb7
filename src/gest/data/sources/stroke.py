"""Sections of the photothrombosis study (Han 2024, mouse Visium) out of the one HDF5 that is public."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from gest.errors import UserError
from gest.sections import validate

log = logging.getLogger(__name__)

KEYS = ("X", "Gene", "Barcode", "Batch", "Celltype_coarse", "Pos")
PITCH_UM = 100.0  # between neighbouring spots of Visium


def read(
    path: str | Path,
    *,
    name: str,
    proximal_um: float,
    donor: str | None = None,
    batches: Mapping[str, str] | None = None,
    infarct: str = "ICA",
    periinfarct: str = "PIA",
) -> ad.AnnData:
    """Read one section; the rows of other sections stay on disk.

    The file does not say in what unit its positions are. They are scaled so that the median distance of a spot to its
    nearest neighbour within the section is 100 µm, Visium's pitch; the factor is logged.

    Nor does it split the peri-infarct area, as the paper does. Here PIA_P (proximal) are its spots within `proximal_um`
    of the nearest spot of the infarct's core in the section, and PIA_D (distal) the others. This is an approximation
    to the authors' labels. A section without a core keeps the label PIA.

    Parameters
    ----------
    path
        The HDF5: ``X`` (N, T) counts, ``Gene`` (T,), ``Barcode``, ``Batch`` and ``Celltype_coarse`` (N,), byte strings,
        and ``Pos`` (2, N).
    name
        The section.
    proximal_um
        Largest distance of PIA_P to the core, in µm.
    donor
        The animal; without one the section stands for itself.
    batches
        Sections to their values in ``Batch``, where these differ.
    infarct, periinfarct
        The file's labels of the core and of the area around it.

    Returns
    -------
    AnnData
        n spots by T genes as `gest.sections.validate` returns them: ``obsm["spatial"]`` (n, 2) in µm, ``obs`` section,
        donor, batch and region, gene symbols made unique.

    Raises
    ------
    UserError
        If the file is missing or unreadable, a key or the batch is not in it, shapes disagree, barcodes repeat within
        the section, or its spots share one place.
    """
    if not (math.isfinite(proximal_um) and proximal_um > 0):
        raise UserError(f"{path}: proximal_um is {proximal_um}, where a finite number above 0 is allowed; correct it")
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such file, where the stroke HDF5 is expected; place it there")
    batch = (batches or {}).get(name, name)
    try:
        with h5py.File(path) as file:
            _check_shapes(file, path)
            batches_there = file["Batch"].asstr()[:]
            rows = np.flatnonzero(batches_there == batch)
            if rows.size == 0:
                raise UserError(
                    f"{path}: there is no batch '{batch}' for section '{name}', where Batch has "
                    f"{', '.join(pd.unique(batches_there))}; name one of these under `batches`"
                )
            counts = file["X"][rows]
            positions = file["Pos"][:, rows].T.astype(np.float64)
            barcodes = file["Barcode"].asstr()[rows]
            labels = file["Celltype_coarse"].asstr()[rows]
            genes = file["Gene"].asstr()[:]
    # h5py raises OSError for what is no HDF5 or ends early, TypeError and ValueError for another type of data.
    except (OSError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{path}: this cannot be read ({error}), where an HDF5 of counts, positions and byte strings is expected; "
            "fetch the file again"
        ) from error
    where = f"{path}, section '{name}'"
    repeated = int(pd.Index(barcodes).duplicated().sum())
    if repeated:
        raise UserError(
            f"{where}: {repeated} barcodes of batch '{batch}' occur again, where a batch is one section; "
            "name another under `batches`"
        )
    xy = positions * _microns_per_unit(positions, where)
    region = _split(labels, xy, infarct, periinfarct, proximal_um, where)
    obs = pd.DataFrame({"section": name, "donor": donor or name, "batch": batch, "region": region}, index=barcodes)
    section = ad.AnnData(
        counts, obs=obs, var=pd.DataFrame(index=genes), obsm={"spatial": xy}, uns={"gest": {"x": "counts"}}
    )
    section.var_names_make_unique()
    return validate(section, name=where)


def _check_shapes(file: h5py.File, path: str | Path) -> None:
    """Raise UserError unless every key is there with the shape that X gives it."""
    missing = [key for key in KEYS if key not in file]
    if missing:
        raise UserError(
            f"{path}: there is no {', '.join(missing)} among {', '.join(file) or 'none'}, where {', '.join(KEYS)} are "
            "expected; fetch the file again"
        )
    n, t = file["Batch"].size, file["Gene"].size
    expected = {"X": (n, t), "Gene": (t,), "Batch": (n,), "Barcode": (n,), "Celltype_coarse": (n,), "Pos": (2, n)}
    for key, shape in expected.items():
        if file[key].shape != shape:
            raise UserError(
                f"{path}: {key} has shape {file[key].shape}, where {n} in Batch and {t} in Gene make it {shape}; "
                "fetch the file again"
            )


def _microns_per_unit(positions: np.ndarray, where: str) -> float:
    """Return the factor that makes spots (n, 2) lie `PITCH_UM` from their neighbours."""
    spacing = 0.0
    if len(positions) > 1 and np.isfinite(positions).all():
        spacing = float(np.median(KDTree(positions).query(positions, k=2)[0][:, 1]))
    if not spacing > 0:
        raise UserError(
            f"{where}: {len(positions)} spots have no distance between neighbours, where two or more spots at finite "
            "places of their own set the scale; check Pos and Batch"
        )
    log.info("%s: positions times %.6g are µm, for spots lie %g apart", where, PITCH_UM / spacing, spacing)
    return PITCH_UM / spacing


def _split(
    labels: np.ndarray, xy: np.ndarray, infarct: str, periinfarct: str, proximal_um: float, where: str
) -> pd.Categorical:
    """Return the regions (n,), with the peri-infarct area split by distance to the core; empty labels are missing."""
    core, around = labels == infarct, labels == periinfarct
    regions = labels.astype(object)
    if core.any():
        near = KDTree(xy[core]).query(xy[around])[0] <= proximal_um
        regions[around] = np.where(near, f"{periinfarct}_P", f"{periinfarct}_D")
        log.info("%s: %d of %d spots of %s are proximal", where, near.sum(), near.size, periinfarct)
    elif around.any():
        log.info("%s: %d spots of %s stay unsplit, for none is %s", where, around.sum(), periinfarct, infarct)
    return pd.Categorical(regions, categories=pd.Index(sorted(set(regions) - {""}), dtype=object))
