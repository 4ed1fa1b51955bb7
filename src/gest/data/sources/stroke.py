"""Read sections of the photothrombosis study (Han 2024, mouse Visium) from its public HDF5 file."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
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
    """Read one section; the rows of other sections are not read.

    The file does not state the unit of its positions. They are scaled so that the median distance of a spot to its
    nearest neighbour in the section is 100 µm, Visium's pitch; the factor is logged.

    The paper splits the peri-infarct area (PIA); the file does not. Here, PIA spots within `proximal_um` of a spot of
    the section's infarct core become PIA_P (proximal), and the others PIA_D (distal). This approximates the authors'
    labels. In a section without a core, the label PIA is kept.

    Parameters
    ----------
    path
        The HDF5: ``X`` (N, T) counts, ``Gene`` (T,), ``Barcode``, ``Batch`` and ``Celltype_coarse`` (N,), byte strings,
        and ``Pos`` (2, N).
    name
        Name of the section.
    proximal_um
        Largest distance of a PIA_P spot to the core, in µm.
    donor
        The animal; by default the section's name.
    batches
        Maps sections to their values in ``Batch`` where these differ from the section's name.
    infarct, periinfarct
        Labels in the file of the infarct core and of the area around it.

    Returns
    -------
    AnnData
        n spots by T genes as `gest.sections.validate` returns them, with ``obsm["spatial"]`` (n, 2) in µm, ``obs``
        columns section, donor, batch and region, and unique gene symbols.

    Raises
    ------
    UserError
        If the file is missing or unreadable, it lacks a key or the batch, shapes disagree, barcodes repeat within the
        section, or the distance between its spots is undefined.
    """
    if not (math.isfinite(proximal_um) and proximal_um > 0):
        raise UserError(f"{path}: proximal_um is {proximal_um} (expected a finite number above 0); correct it")
    if not Path(path).is_file():
        raise UserError(f"{path}: file not found (expected the stroke HDF5); place it there")
    batch = (batches or {}).get(name, name)
    spots = _read_batch(Path(path), batch, name)
    where = f"{path}, section '{name}'"
    repeated = int(pd.Index(spots.barcodes).duplicated().sum())
    if repeated:
        raise UserError(
            f"{where}: {repeated} barcodes of batch '{batch}' occur again, but a batch is one section; "
            "name another under `batches`"
        )
    xy = spots.positions * _microns_per_unit(spots.positions, where)
    region = _split_periinfarct(spots.labels, xy, infarct, periinfarct, proximal_um, where)
    columns = {"section": name, "donor": donor or name, "batch": batch, "region": region}
    section = ad.AnnData(
        spots.counts,
        obs=pd.DataFrame(columns, index=spots.barcodes),
        var=pd.DataFrame(index=spots.genes),
        obsm={"spatial": xy},
        uns={"gest": {"x": "counts"}},
    )
    section.var_names_make_unique()
    return validate(section, name=where)


@dataclass(frozen=True, kw_only=True)
class _Spots:
    """The n spots of one batch, as stored in the file."""

    counts: np.ndarray
    """(n, T)"""
    positions: np.ndarray
    """(n, 2), in the file's unit."""
    barcodes: np.ndarray
    labels: np.ndarray
    genes: np.ndarray
    """(T,)"""


def _read_batch(path: Path, batch: str, name: str) -> _Spots:
    """Read the rows of one batch."""
    try:
        with h5py.File(path) as file:
            _check_shapes(file, path)
            all_batches = file["Batch"].asstr()[:]
            rows = np.flatnonzero(all_batches == batch)
            if rows.size == 0:
                raise UserError(
                    f"{path}: no batch '{batch}' for section '{name}' (Batch has {', '.join(pd.unique(all_batches))}); "
                    "name one of these under `batches`"
                )
            return _Spots(
                counts=file["X"][rows],
                positions=file["Pos"][:, rows].T.astype(np.float64),
                barcodes=file["Barcode"].asstr()[rows],
                labels=file["Celltype_coarse"].asstr()[rows],
                genes=file["Gene"].asstr()[:],
            )
    except UserError:
        raise
    # h5py raises OSError if the file is truncated or not HDF5, TypeError and ValueError if data have another type.
    except (OSError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}; expected an HDF5 of counts, positions and byte strings); "
            "fetch the file again"
        ) from error


def _check_shapes(file: h5py.File, path: str | Path) -> None:
    """Raise UserError unless every key is present and its shape fits Batch and Gene."""
    missing = [key for key in KEYS if key not in file]
    if missing:
        raise UserError(
            f"{path}: no {', '.join(missing)} (it has {', '.join(file) or 'nothing'}, expected {', '.join(KEYS)}); "
            "fetch the file again"
        )
    n, t = file["Batch"].size, file["Gene"].size
    expected = {"X": (n, t), "Gene": (t,), "Batch": (n,), "Barcode": (n,), "Celltype_coarse": (n,), "Pos": (2, n)}
    for key, shape in expected.items():
        if file[key].shape != shape:
            raise UserError(
                f"{path}: {key} has shape {file[key].shape} (expected {shape}, from {n} in Batch and {t} in Gene); "
                "fetch the file again"
            )


def _microns_per_unit(positions: np.ndarray, where: str) -> float:
    """Return the factor that makes neighbouring spots (n, 2) `PITCH_UM` apart."""
    spacing = 0.0
    if len(positions) > 1 and np.isfinite(positions).all():
        spacing = float(np.median(KDTree(positions).query(positions, k=2)[0][:, 1]))
    if not spacing > 0:
        raise UserError(
            f"{where}: the distance between neighbours of {len(positions)} spots is undefined (expected two or more "
            "spots at different, finite positions); check Pos and Batch"
        )
    log.info("%s: positions times %.6g are µm, because spots are %g apart", where, PITCH_UM / spacing, spacing)
    return PITCH_UM / spacing


def _split_periinfarct(
    labels: np.ndarray, xy: np.ndarray, infarct: str, periinfarct: str, proximal_um: float, where: str
) -> pd.Categorical:
    """Split the peri-infarct area by distance to the core; return regions (n,).

    Empty labels become missing values.
    """
    core, around = labels == infarct, labels == periinfarct
    regions = labels.astype(object)
    if core.any():
        near = KDTree(xy[core]).query(xy[around])[0] <= proximal_um
        regions[around] = np.where(near, f"{periinfarct}_P", f"{periinfarct}_D")
        log.info("%s: %d of %d spots of %s are proximal", where, near.sum(), near.size, periinfarct)
    elif around.any():
        log.info("%s: %d spots of %s stay unsplit, because none is %s", where, around.sum(), periinfarct, infarct)
    return pd.Categorical(regions, categories=pd.Index(sorted(set(regions) - {""}), dtype=object))
