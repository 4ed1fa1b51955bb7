"""Read a Stereo-seq section: a GEM table of molecules, which is binned, or an ``.h5ad`` of bins."""

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
# Names that each column may have, in lower case. The first one in the file is used: genename (symbols) before geneid.
ALIASES = {
    "gene": ("genename", "geneid", "gene", "gene_name", "gene_id", "genes"),
    "x": ("x",),
    "y": ("y",),
    "count": ("midcount", "midcounts", "umicount", "umicounts", "count", "counts"),
}
CHUNK = 1_000_000  # rows of a GEM in memory at a time
BITS = 21  # for each of bin column, bin row and gene, which are packed into one key of 63 bits


def read(
    path: str | Path, *, name: str, donor: str | None = None, bin_size: int = 50, pitch_um: float = 0.5
) -> ad.AnnData:
    """Read one section as square bins.

    A molecule at (x, y) belongs to bin (⌊x / bin_size⌋, ⌊y / bin_size⌋). A GEM is read in chunks, so that memory grows
    with the nonzero counts of the bins, not with the rows of the table.

    An ``.h5ad`` is already binned; only its coordinates are scaled. They may be in DNBs, bins or µm; for bins of 25 µm,
    set `bin_size` and `pitch_um` to 50 and 0.5 (DNBs), 1 and 25 (bins) or 25 and 1 (µm). It is an error if the nearest
    bins are not bin_size · pitch_um apart.

    Parameters
    ----------
    path
        Folder with one of ``{name}.gem.gz``, ``.gem``, ``.tsv.gz``, ``.tsv`` and ``.h5ad``, or such a file.
        A GEM is tab-separated; lines before its header begin with ``#``. `ALIASES` lists the accepted names of its
        columns, in upper or lower case; other columns are ignored.
    name
        Name of the section.
    donor
        The animal; by default the section's name.
    bin_size
        Side of a bin, in the file's unit of coordinates.
    pitch_um
        The file's unit of coordinates in µm: the distance between DNBs.

    Returns
    -------
    AnnData
        n bins by T genes as `gest.sections.validate` returns them. For a GEM, ``obsm["spatial"]`` (n, 2) holds the
        centres of the bins in µm, and bin (i, j) is named ``{name}_{i}_{j}``. For an ``.h5ad``, ``obsm["spatial"]``
        holds the file's coordinates in µm.

    Raises
    ------
    UserError
        If there is no file or more than one, it cannot be read to its end, a column is missing, coordinates or counts
        are not numbers ≥ 0, or bins of an ``.h5ad`` are not as far apart as `bin_size` says.
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
    """Read an ``.h5ad`` of bins, and check the distance between them."""
    section = anndata.read(file, name=name, microns_per_unit=pitch_um)
    section.obs["donor"] = donor or name
    xy, expected = section.obsm["spatial"], bin_size * pitch_um
    # The two nearest bins of a lattice are exactly one side apart, even if the tissue has holes.
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

    Return counts (n, T), the column and row of each bin (n, 2), and the genes in alphabetical order.
    """
    genes: dict[str, int] = {}
    # Partial sums, each a sparse row over all packed keys. A part is merged once another of similar size exists, so
    # that every count is added at most O(log n) times.
    parts: list[sp.csr_array] = []
    for table in _read_chunks(file):
        categories = table["gene"].cat.categories
        code = np.array([genes.setdefault(gene, len(genes)) for gene in categories])[table["gene"].cat.codes]
        i, j = (np.floor_divide(table[axis].to_numpy(), bin_size).astype(np.int64) for axis in "xy")
        if max(i.max(), j.max(), len(genes)) >= 1 << BITS:
            raise UserError(
                f"{file}: coordinates go up to {table[['x', 'y']].max().max():g} and there are {len(genes)} genes "
                f"(at most {1 << BITS} bins a side and as many genes); check the columns, or raise `bin_size`"
            )
        key = (i << 2 * BITS) | (j << BITS) | code
        position = (np.zeros(key.size, dtype=np.int64), key)
        parts.append(sp.coo_array((table["count"].to_numpy(), position), shape=(1, np.iinfo(np.int64).max)).tocsr())
        while len(parts) > 1 and parts[-2].nnz < 2 * parts[-1].nnz:
            parts.append(parts.pop() + parts.pop())
    while len(parts) > 1:
        parts.append(parts.pop() + parts.pop())
    (total,) = parts
    # Keys are sorted, so a new bin starts wherever the bin part of the key changes.
    bin_key = total.indices >> BITS
    start = np.flatnonzero(np.diff(bin_key, prepend=-1))
    bin_key = bin_key[start]
    names, rank = np.unique(np.array(list(genes), dtype=object), return_inverse=True)
    gene = rank.astype(np.int32)[total.indices & (1 << BITS) - 1]
    counts = sp.csr_matrix((total.data, gene, np.append(start, total.nnz)), shape=(len(bin_key), len(names)))
    counts.sort_indices()
    return counts, np.column_stack([bin_key >> BITS, bin_key & (1 << BITS) - 1]), pd.Index(names)


def _read_chunks(file: Path) -> Iterator[pd.DataFrame]:
    """Yield tables of at most `CHUNK` checked rows.

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
            # A gene may have the name NA.
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
    """Map the names of four columns of the file to the keys of `ALIASES`."""
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
