"""Simulate and read the files of one mouse of the ABC Atlas, for `growth.py`.

At full size they have the layout and about the size of Zhuang-ABCA-1: a dense float32 matrix of 4,167,870 cells in
random order and 1,122 genes, in gzip chunks of (16281, 5); 2,846,908 of the cells are in 147 sections.
"""

import csv
import time
import zlib
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from gest.data.sources.abc_atlas import read
from gest.data.sources.abc_atlas_tables import TERMS
from gest.sections import write_section

CELLS, PASSED, GENES, SECTIONS, CHUNK = 4_167_870, 2_846_908, 1_122, 147, (16_281, 5)
PATTERNS = 300  # distinct chunks, which are repeated
MEAN_COUNT = 0.08  # of a gene in a cell; makes the full file about as large as the original, 1.19 GB
DATASET = "Zhuang-ABCA-1"


def make(folder: Path, passed: int, seed: int = 0) -> None:
    """Write the five files; `passed` of the cells are in sections."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    n = max(round(CELLS * passed / PASSED), CHUNK[0])
    halves = rng.integers(10**18, 9 * 10**18, (n, 2))
    labels = np.array([f"{high}{low}" for high, low in halves.tolist()], dtype=object)
    share = rng.dirichlet(np.full(SECTIONS, 5.0))
    drawn = rng.choice(SECTIONS, passed - SECTIONS, p=share)
    section = np.sort(np.concatenate([np.arange(SECTIONS), drawn]))  # no section is empty
    names = np.array([f"{DATASET}.{i:03d}" for i in range(1, SECTIONS + 1)], dtype=object)

    order = rng.permutation(n)
    obs = pd.DataFrame({"brain_section_label": names[rng.choice(SECTIONS, n, p=share)]}, index=labels[order])
    ensembl = [f"ENSMUSG{i:011d}" for i in range(GENES)]
    with h5py.File(folder / f"{DATASET}-raw.h5ad", "w") as file:
        ad.io.write_elem(file, "/", ad.AnnData(obs=obs, var=pd.DataFrame(index=ensembl)))
        write_matrix(file, n, rng)

    xyz = rng.random((passed, 3)) * (11, 11, 0) + np.outer(section * 0.1, (0, 0, 1))
    metadata = {
        "cell_label": labels[:passed],
        "brain_section_label": names[section],
        "feature_matrix_label": DATASET,
        "donor_label": DATASET,
        "donor_genotype": "wt/wt",
        "donor_sex": "F",
        "cluster_alias": rng.integers(1, 5300, passed),
        **dict(zip("xyz", xyz.T, strict=True)),
        "subclass_confidence_score": rng.random(passed),
        "cluster_confidence_score": rng.random(passed),
        "high_quality_transfer": True,
    }
    pd.DataFrame(metadata).to_csv(folder / "cell_metadata.csv", index=False)
    registered = rng.permutation(passed)[: round(0.919 * passed)]
    ccf = pd.DataFrame(rng.random((len(registered), 3)) * (13.2, 8, 6), columns=list("xyz"))
    ccf.insert(0, "cell_label", labels[registered])
    ccf["parcellation_index"] = rng.integers(688, size=len(ccf))
    ccf.to_csv(folder / "ccf_coordinates.csv", index=False)

    with (folder / "gene.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["gene_identifier", "gene_symbol", "name", "mapped_ncbi_identifier"])
        rows.writerows([gene, f"Gene{i}", f"gene {i}", f"NCBIGene:{i}"] for i, gene in enumerate(ensembl))
    with (folder / TERMS).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["parcellation_index", "organ", "category", "division", "structure", "substructure"])
        rows.writerow([0] + ["unassigned"] * 5)
        rows.writerows([i, "brain", "grey", f"D{i % 12}", f"S{i % 300}", f"S{i}"] for i in range(1, 688))


def write_matrix(file: h5py.File, n: int, rng: np.random.Generator) -> None:
    """Write X from a few hundred chunks that are compressed once.

    Genes differ in their mean count, cells in their total count.
    """
    means = rng.lognormal(0, 1.2, (PATTERNS, CHUNK[1]))
    means *= MEAN_COUNT / means.mean()
    sizes = rng.gamma(2, 0.5, (PATTERNS, CHUNK[0], 1))
    counts = (rng.poisson(size * mean).astype(np.float32) for size, mean in zip(sizes, means, strict=True))
    patterns = [zlib.compress(chunk.tobytes(), 4) for chunk in counts]
    X = file.create_dataset("X", (n, GENES), "f4", chunks=CHUNK, compression="gzip", compression_opts=4)
    X.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    for top in range(0, n, CHUNK[0]):
        for left in range(0, GENES, CHUNK[1]):
            X.id.write_direct_chunk((top, left), patterns[rng.integers(PATTERNS)])


def read_and_write(folder: Path) -> dict[str, float]:
    """Read the files and write the sections; return the cells and the seconds."""
    start, cells = time.perf_counter(), 0
    sections = read(
        folder,
        name="mouse1",
        n_sections=SECTIONS,
        labels={"division": "parcellation_division", "region": "parcellation_structure"},
        held_out={"cells": 6924, "otherwise": f"{DATASET}.079"},
    )
    for name, section, _ in sections:
        cells += section.n_obs
        write_section(section, folder / "sections" / f"{name}.h5ad")
    return {"done": cells, "seconds": time.perf_counter() - start}
