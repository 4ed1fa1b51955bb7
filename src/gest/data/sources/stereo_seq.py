"""Read a Stereo-seq section: a GEM table of molecules, binned here, or an ``.h5ad`` that is binned already."""

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.spatial import KDTree

from gest.data.sources import anndata
from gest.errors import UserError
from gest.sections import validate

SUFFIXES = (".gem.gz", ".gem", ".tsv.gz", ".tsv", ".h5ad")
# Names of each column, in lower case; symbols before ids where a file has both.
ALIASES = {
    "gene": ("genename", "geneid", "gene", "gene_name", "gene_id", "genes"),
    "x": ("x",),
    "y": ("y",),
    "count": ("midcount", "midcounts", "umicount", "umicounts", "count", "counts"),
}
CHUNK = 1_000_000  # rows in memory at a time
BITS = 21  # of a packed key, 63 in all, for each of bin column, bin row and gene


def read(
    path: str | Path, *, name: str, donor: str | None = None, bin_size: int = 50, pitch_um: float = 0.5
) -> ad.AnnData:
    """Read one section as square bins.

    Bin (i, j) has i = ⌊x / bin_size⌋ and j = ⌊y / bin_size⌋. A GEM is read in chunks, and memory grows with the bins'
    counts, not with the table's rows. Of an ``.h5ad``, binned already, only the coordinates are scaled. Files give them
    in DNBs, in bins or in µm, so neighbouring bins must come out bin_size · pitch_um apart (DNBs: 50 and 0.5, bins: 1
    and 25, µm: 25 and 1).

    Parameters
    ----------
    path
        Folder in which one of ``{name}.gem.gz``, ``.gem``, ``.tsv.gz``, ``.tsv`` and ``.h5ad`` lies, or such a file.
        A GEM is tab-separated, with lines of ``#`` before its header; `ALIASES` lists the names of its columns, in any
        case, and others are ignored.
    name
        The section.
    donor
        The animal; by default the section's name.
    bin_size
        Side of a bin, in the file's unit of coordinates.
    pitch_um
        The file's unit of coordinates in µm: the distance between DNBs.

    Returns
    -------
    AnnData
        n bins by T genes as `gest.sections.validate` returns them; ``obsm["spatial"]`` (n, 2) are centres of bins in
        µm for a GEM, whose bins are named ``{name}_{i}_{j}``, and the file's coordinates for an ``.h5ad``.

    Raises
    ------
    UserError
        If there is no file or more than one, it cannot be read to its end, a column is missing, or coordinates or
        counts are not numbers ≥ 0.
    """
    for key, value in (("bin_size", bin_size), ("pitch_um", pitch_um)):
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{path}: {key} is {value} (expected a finite number above 0); correct it")
    file = _find_file(Path(path), name)
    if file.suffix == ".h5ad":
        return _read_h5ad(file, name, donor, bin_size, pitch_um)
    counts, bins, genes = _bin_molecules(file, bin_size)
    section = ad.AnnData(
        counts,
        obs=pd.DataFrame({"section": name, "donor": donor or name}, index=[f"{name}_{i}_{j}" for i, j in bins]),
        var=pd.DataFrame(index=genes),
        obsm={"spatial": (bins + 0.5) * bin_size * pitch_um},
        uns={"gest": {"x": "counts"}},
    )
    return validate(section, name=f"{file}, section '{name}'")


def _find_file(path: Path, name: str) -> Path:
    """Find the one file that holds the section."""
    if path.is_file() and path.name.endswith(SUFFIXES):
        return path
    files = [file for suffix in SUFFIXES if (file := path / f"{name}{suffix}").is_file()]
    if len(files) != 1:
        present = ", ".join(file.name for file in files) or "none"
        raise UserError(
            f"{path}: has {present} of {', '.join(name + suffix for suffix in SUFFIXES)} (expected exactly one); "
            "place one, and remove the others"
        )
    return files[0]


def _read_h5ad(file: Path, name: str, donor: str | None, bin_size: int, pitch_um: float) -> ad.AnnData:
    """Read a file that is binned already, and check the distance between its bins."""
    section = anndata.read(file, name=name, microns_per_unit=pitch_um)
    section.obs["donor"] = donor or name
    xy, expected = section.obsm["spatial"], bin_size * pitch_um
    # On a lattice the nearest two bins are exactly one side apart, even where the tissue has holes.
    spacing = float(KDTree(xy).query(xy, k=2)[0][:, 1].min())
    if not math.isclose(spacing, expected, rel_tol=0.01):
        raise UserError(
            f"{file}: the nearest bins are {spacing / pitch_um:.4g} of the file's units apart (expected `bin_size`, "
            f"{bin_size}); set it to the bins' side in these units and `pitch_um` to the unit in µm, or read cells "
            "with the source anndata"
        )
    return section


def _bin_molecules(file: Path, bin_size: int) -> tuple[sp.csr_matrix, np.ndarray, pd.Index]:
    """Bin a GEM.

    The result is counts (n, T), bins (n, 2) as column and row, and the genes in alphabetical order.
    """
    genes: dict[str, int] = {}
    # Sums of ever fewer and larger parts, each a sparse row over all packed keys: every count is added log n times.
    parts: list[sp.csr_array] = []
    for table in _read_chunks(file):
        new = table["gene"].cat.categories
        code = np.array([genes.setdefault(gene, len(genes)) for gene in new])[table["gene"].cat.codes]
        i, j = (np.floor_divide(table[axis].to_numpy(), bin_size).astype(np.int64) for axis in "xy")
        if max(i.max(), j.max(), len(genes)) >= 1 << BITS:
            raise UserError(
                f"{file}: coordinates go up to {table[['x', 'y']].max().max():g} and there are {len(genes)} genes "
                f"(at most {1 << BITS} bins a side and as many genes); check the columns, or raise `bin_size`"
            )
        key = (i << 2 * BITS) | (j << BITS) | code
        where = (np.zeros(key.size, dtype=np.int64), key)
        parts.append(sp.coo_array((table["count"].to_numpy(), where), shape=(1, np.iinfo(np.int64).max)).tocsr())
        while len(parts) > 1 and parts[-2].nnz < 2 * parts[-1].nnz:
            parts.append(parts.pop() + parts.pop())
    while len(parts) > 1:
        parts.append(parts.pop() + parts.pop())
    (total,) = parts
    # Keys are sorted, so a bin starts where its part of the key changes; genes are put in order within it.
    bin_key = total.indices >> BITS
    start = np.flatnonzero(np.diff(bin_key, prepend=-1))
    bin_key = bin_key[start]
    names, rank = np.unique(np.array(list(genes), dtype=object), return_inverse=True)
    gene = rank.astype(np.int32)[total.indices & (1 << BITS) - 1]
    counts = sp.csr_matrix((total.data, gene, np.append(start, total.nnz)), shape=(len(bin_key), len(names)))
    counts.sort_indices()
    return counts, np.column_stack([bin_key >> BITS, bin_key & (1 << BITS) - 1]), pd.Index(names)


def _read_chunks(file: Path) -> Iterator[pd.DataFrame]:
    """Yield `CHUNK` checked rows at once.

    Their columns are gene (categorical), x, y (float64) and count (float32).
    """
    try:
        with gzip.open(file, "rt") if file.suffix == ".gz" else open(file) as lines:
            comments = 0
            while (line := lines.readline()).startswith("#"):
                comments += 1
        columns = _columns(file, line.rstrip("\r\n").split("\t"))
        types = {"gene": "category", "x": np.float64, "y": np.float64, "count": np.float32}
        reader = pd.read_csv(
            file,
            sep="\t",
            skiprows=comments,
            usecols=list(columns),
            dtype={column: types[role] for column, role in columns.items()},
            # A gene may be called NA.
            keep_default_na=False,
            quoting=3,
            chunksize=CHUNK,
        )
        with reader:
            for table in reader:
                if table.empty:
                    raise UserError(
                        f"{file}: no rows below the header (expected one per gene and position); fetch the file again"
                    )
                table = table.rename(columns=columns)
                numbers = table[["x", "y", "count"]]
                bad = ~((numbers >= 0) & np.isfinite(numbers)).all(axis=1) | (table["gene"] == "")
                if bad.any():
                    raise UserError(
                        f"{file}: {bad.sum()} rows, the first of them row {bad.idxmax() + 1} below the header, lack "
                        "a gene or a number ≥ 0 for x, y or count; fetch the file again"
                    )
                yield table
    except UserError:
        raise
    # pandas raises ValueError for text where a number is expected.
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(
            f"{file}: cannot be read to its end ({error}; expected a complete GEM table with numbers for coordinates "
            "and counts); fetch the file again"
        ) from error


def _columns(file: Path, header: list[str]) -> dict[str, str]:
    """Map the file's names of the four columns to the keys of `ALIASES`."""
    lower = {column.lower(): column for column in header}
    roles = {}
    for role, aliases in ALIASES.items():
        column = next((lower[alias] for alias in aliases if alias in lower), None)
        if column is None:
            raise UserError(
                f"{file}: no column for {role} among {', '.join(header) or 'none'} (expected one of "
                f"{', '.join(aliases)}, in any case); rename it"
            )
        roles[column] = role
    return roles
