"""Write small, simulated versions of the five ABC Atlas files of one mouse, with upstream's schema and quirks."""

from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from gest.data.sources.abc_atlas_tables import MIDLINE, TERMS

_FAILED = 0.45  # number of cells that failed quality control per cell that passed
_GENES_PER_CHUNK = 5


def write(folder: str | Path, sections: Sequence[ad.AnnData], *, dataset: str, seed: int = 0) -> None:
    """Write one mouse; the same sections and seed give the same bytes.

    If there are three sections or more, the lowest-numbered one is not registered to the CCF; of the other sections,
    some cells are not registered. The lowest-numbered sections share z = 0. A tenth of the tissue's width is in the
    right hemisphere.

    Parameters
    ----------
    folder
        Folder to write to; created if missing.
    sections
        Simulated sections (µm) with the same genes; ``obs["section"]`` is like "Zhuang-ABCA-1.003".
    dataset
        The mouse's upstream name, e.g. "Zhuang-ABCA-1".
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    cells = ad.concat(sections, merge="same")
    n_failed = int(np.ceil(_FAILED * cells.n_obs))
    labels = _labels(cells.n_obs + n_failed, rng)
    ensembl = [f"ENSMUSG{i:011d}" for i in rng.choice(10**8, cells.n_vars, replace=False)]

    _write_matrix(folder / f"{dataset}-raw.h5ad", cells, labels, ensembl, rng)
    _write_metadata(folder / "cell_metadata.csv", cells, labels[: cells.n_obs], dataset, rng)
    _write_ccf(folder, cells, labels[: cells.n_obs], rng)
    genes = pd.DataFrame(
        {
            "gene_identifier": ensembl,
            "gene_symbol": cells.var_names,
            "name": [f"simulated gene {symbol}" for symbol in cells.var_names],
            "mapped_ncbi_identifier": [f"NCBIGene:{i}" for i in rng.choice(10**6, cells.n_vars, replace=False)],
        }
    )
    genes.sample(frac=1, random_state=rng).to_csv(folder / "gene.csv", index=False)


def _labels(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw cell labels: 128-bit numbers with 38 or 39 digits."""
    numbers = (int.from_bytes(rng.bytes(16), "big") for _ in range(n))
    return np.array([str(10**37 + number % (33 * 10**37)) for number in numbers], dtype=object)


def _write_matrix(
    path: Path, cells: ad.AnnData, labels: np.ndarray, ensembl: list[str], rng: np.random.Generator
) -> None:
    """Write all cells in random order, as a dense matrix in narrow chunks.

    Cells that failed quality control are included.
    """
    source = np.append(np.arange(cells.n_obs), rng.choice(cells.n_obs, len(labels) - cells.n_obs))
    order = rng.permutation(len(labels))
    obs = pd.DataFrame(
        {"brain_section_label": cells.obs["section"].astype(str).to_numpy()[source[order]]},
        index=pd.Index(labels[order], name="cell_label"),
    )
    var = pd.DataFrame(index=pd.Index(ensembl, name="gene_identifier"))
    X = sp.csr_matrix(cells.X).toarray().astype(np.float32)[source[order]]
    chunks = (-(-len(X) // 4), min(_GENES_PER_CHUNK, X.shape[1]))
    with h5py.File(path, "w") as file:
        ad.io.write_elem(file, "/", ad.AnnData(obs=obs, var=var))
        ad.io.write_elem(file, "X", X, dataset_kwargs={"chunks": chunks, "compression": "gzip"})


def _write_metadata(path: Path, cells: ad.AnnData, labels: np.ndarray, dataset: str, rng: np.random.Generator) -> None:
    rank = _rank(cells)
    x, y = cells.obsm["spatial"].T / 1000
    metadata = pd.DataFrame(
        {
            "cell_label": labels,
            "brain_section_label": cells.obs["section"].to_numpy(),
            "feature_matrix_label": dataset,
            "donor_label": dataset,
            "donor_genotype": "wt/wt",
            "donor_sex": "F",
            "cluster_alias": cells.obs["cell_type"].astype("category").cat.codes.to_numpy() + 1,
            "x": x,
            "y": y,
            "z": np.maximum(rank - (rank.max() + 1) // 3, 0) * 0.1,
            "subclass_confidence_score": rng.uniform(0.8, 1, len(labels)),
            "cluster_confidence_score": rng.uniform(0.5, 1, len(labels)),
            "high_quality_transfer": True,
        }
    )
    metadata.to_csv(path, index=False)


def _write_ccf(folder: Path, cells: ad.AnnData, labels: np.ndarray, rng: np.random.Generator) -> None:
    """Write coordinates and parcellations of the registered cells.

    Also write the acronyms of the parcellations.
    """
    division, region = cells.obs["division"].astype(str).to_numpy(), cells.obs["region"].astype(str).to_numpy()
    pairs = sorted(set(zip(division, region, strict=True)))
    terms = [("unassigned",) * 5, ("brain", *["brain-unassigned"] * 4)]
    terms += [("brain", "grey", d, r, f"{r}{part}") for d, r in pairs for part in "ab"]
    divisions = sorted(set(division))
    terms += [("brain", "fiber tracts", d, *["fiber tracts-unassigned"] * 2) for d in divisions]
    number = np.append(0, np.sort(rng.choice(np.arange(1, 1328), len(terms) - 1, replace=False)))
    table = pd.DataFrame(terms, columns=["organ", "category", "division", "structure", "substructure"])
    table.insert(0, "parcellation_index", number)
    table.to_csv(folder / TERMS, index=False)

    pair = np.array([pairs.index(names) for names in zip(division, region, strict=True)])
    term = 2 + 2 * pair + rng.integers(2, size=len(pair))
    unassigned = rng.random(len(pair))
    term[unassigned < 0.06] = 2 + 2 * len(pairs) + np.searchsorted(divisions, division[unassigned < 0.06])
    term[unassigned < 0.04] = rng.integers(2, size=(unassigned < 0.04).sum())

    x, y = cells.obsm["spatial"].T / 1000
    rank = _rank(cells)
    ccf = pd.DataFrame(
        {
            "cell_label": labels,
            "x": 1 + rank * 0.1,
            "y": y,
            "z": MIDLINE + x - 0.9 * x.max(),
            "parcellation_index": number[term],
        }
    )
    registered = rng.random(len(ccf)) > 0.05
    if rank.max() > 1:
        registered &= rank > 0
    ccf[registered].sample(frac=1, random_state=rng).to_csv(folder / "ccf_coordinates.csv", index=False)


def _rank(cells: ad.AnnData) -> np.ndarray:
    """Return the rank of each cell's section by section number, from 0."""
    sections = cells.obs["section"].astype(str)
    ordered = sorted(set(sections), key=lambda label: int(label.rpartition(".")[2]))
    return sections.map({label: rank for rank, label in enumerate(ordered)}).to_numpy()
