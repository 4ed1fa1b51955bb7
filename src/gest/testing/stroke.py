"""Write simulated sections of spots as one HDF5 file with the schema of the stroke study."""

from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from gest.errors import UserError
from gest.tasks.perturbation.differential import HIGH, LOW, NOT_SIGNIFICANT

# Coarse labels for the simulated divisions. The labels of the real file are not published.
COARSE = {"cortex": "CTX", "nuclei": "TH", "fibre_tract": "WM", "interstitium": "HY"}
INFARCT, PERIINFARCT = 0.2, 0.4  # radii of the core and of the area around it, as fractions of the shorter side
FOLD = 4  # counts of raised genes are multiplied by it; counts of lowered genes are thinned to a quarter


def planted(sections: Sequence[ad.AnnData]) -> pd.DataFrame:
    """Plan how an injury changes each gene.

    The plan determines the effect that perturbing the core's genes must have on the area around it. The core is in the
    cortex. Cells of common types (at least a tenth of the cortex's spots) are lost there, and cells of one other type
    appear: the one to which most genes respond. In the core, marker genes of these types change; in the area around it,
    neighbour genes of these types change, because they respond to nearby cells. Null and gradient genes do not respond
    to neighbours and stay unchanged. Other genes depend on mixes of types, and nothing is planted for them.

    Parameters
    ----------
    sections
        Sections of spots from `gest.data.sources.simulate.simulate`, all of one tissue.

    Returns
    -------
    DataFrame
        Indexed by gene: `core` and `around`, each `HIGH`, `LOW`, `NOT_SIGNIFICANT`, or empty where nothing is planted.
    """
    var = sections[0].var
    cortex = pd.concat([section.obs.loc[section.obs["division"] == "cortex", "cell_type"] for section in sections])
    counted = pd.crosstab(var["cell_type"], var["kind"]).reindex(columns=["neighbour", "marker"], fill_value=0)
    counted = counted[counted["neighbour"] > 0]
    lost = counted.index.intersection(
        cortex.astype(str).value_counts(normalize=True).loc[lambda share: share >= 0.1].index
    )
    appearing = counted.drop(lost).sum(axis=1).nlargest(1).index
    sign = np.select([var["cell_type"].isin(appearing), var["cell_type"].isin(lost)], [HIGH, LOW], "")
    unchanged = np.where(var["kind"].isin(["null", "gradient"]), NOT_SIGNIFICANT, "")
    return pd.DataFrame(
        {
            area: np.where(var["kind"] == kind, sign, unchanged)
            for area, kind in (("core", "marker"), ("around", "neighbour"))
        },
        index=var.index,
    )


def write(path: str | Path, sections: Sequence[ad.AnnData], *, seed: int = 0) -> None:
    """Write all sections to one file.

    Sections of injured animals (named PT...) come before the others (Sham...). In an injured section, the cortex has a
    disc labelled ICA within a ring labelled PIA, where counts change as `planted` says. Barcodes repeat between
    sections, as on real slides. ``Pos`` has a different arbitrary unit for each section; ``3D_pos_PT`` and
    ``3D_pos_sham`` add the section's number as z.

    Parameters
    ----------
    path
        The file; its folder is created if missing.
    sections
        Simulated sections of spots with the same genes; they are not modified.
    seed
        Determines the units, the position of the infarct, and which counts are thinned.

    Raises
    ------
    UserError
        If the sections' genes differ.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sections = sorted(sections, key=lambda section: not _name(section).startswith("PT"))
    genes = sections[0].var_names
    if any(not genes.equals(section.var_names) for section in sections):
        raise UserError(f"{path}: the sections' genes differ (expected the same in all); simulate them alike")
    rng = np.random.default_rng(seed)
    change = planted(sections)
    counts, labels, positions, injured = [], [], [], []
    for number, section in enumerate(sections):
        injured.append(_name(section).startswith("PT"))
        labels.append(_labels(section, injured[-1], rng))
        counts.append(_injure(section, labels[-1], change, rng))
        flat = section.obsm["spatial"] * rng.uniform(0.5, 5)
        positions.append(np.column_stack([flat, np.full(len(flat), float(number))]))
    of_injured = [xyz for xyz, is_injured in zip(positions, injured, strict=True) if is_injured]
    of_sham = [xyz for xyz, is_injured in zip(positions, injured, strict=True) if not is_injured]
    arrays = {
        "X": np.concatenate(counts),
        "Gene": genes.to_numpy().astype("S"),
        "Barcode": np.concatenate([_barcodes(section.n_obs) for section in sections]).astype("S"),
        "Batch": np.concatenate([np.repeat(_name(section), section.n_obs) for section in sections]).astype("S"),
        "Celltype_coarse": np.concatenate(labels).astype("S"),
        "Pos": np.concatenate(positions)[:, :2].T,
        "3D_pos_PT": np.concatenate([*of_injured, np.empty((0, 3))]).T,
        "3D_pos_sham": np.concatenate([*of_sham, np.empty((0, 3))]).T,
    }
    with h5py.File(path, "w") as out:
        for key, array in arrays.items():
            out.create_dataset(key, data=array, track_times=False)


def _name(section: ad.AnnData) -> str:
    return section.obs["section"].iloc[0]


def _barcodes(n: int) -> np.ndarray:
    """Make n different barcodes of 16 bases; they are the same in every section."""
    digits = np.arange(n)[:, None] >> np.arange(30, -2, -2) & 3
    return np.array(["".join(spot) + "-1" for spot in np.array(list("ACGT"))[digits]])


def _labels(section: ad.AnnData, injured: bool, rng: np.random.Generator) -> np.ndarray:
    """Return a coarse label for each spot: (n,)."""
    labels = section.obs["division"].astype(str).map(COARSE).to_numpy(dtype=object)
    if injured:
        xy = section.obsm["spatial"]
        extent = np.ptp(xy, axis=0)
        centre = xy.min(axis=0) + extent * (rng.uniform(0.4, 0.6), 0.75)
        distance = np.hypot(*(xy - centre).T) / extent.min()
        labels[distance < PERIINFARCT] = "PIA"
        labels[distance < INFARCT] = "ICA"
    return labels


def _injure(section: ad.AnnData, labels: np.ndarray, change: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Return a section's counts (n, T), changed in ICA and PIA as `planted` says."""
    counts = section.X.toarray().astype(np.int32)
    for label, calls in (("ICA", change["core"]), ("PIA", change["around"])):
        raised, lowered = (np.ix_(labels == label, calls == call) for call in (HIGH, LOW))
        counts[raised] *= FOLD
        counts[lowered] = rng.binomial(counts[lowered], 1 / FOLD)
    return counts
