"""A Stereo-seq section: a GEM table of molecules, binned into squares, or an ``.h5ad`` that is binned already."""

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
# Names that each column goes by, in lower case; symbols before ids where a file has both.
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
    """Read one section as square bins: bin (i, j) sums what lies at i = ⌊x / bin_size⌋, j = ⌊y / bin_size⌋.

    A GEM is read in chunks; memory grows with the bins' counts, not with the table's rows. An ``.h5ad`` is binned
    already and only its coordinates are scaled: because files count in DNBs, in bins or in µm, its neighbouring bins
    must come out bin_size · pitch_um apart (DNBs: 50 and 0.5, bins: 1 and 25, µm: 25 and 1).

    Parameters
    ----------
    path
        Folder in which one of ``{name}.gem.gz``, ``.gem``, ``.tsv.gz``, ``.tsv`` and ``.h5ad`` lies, or such a file.
        A GEM is tab-separated, with lines of ``#`` before its header; columns go by the names of `ALIASES` in any
        case, others are ignored.
    name
        The section.
    donor
        The animal; without one the section stands for itself.
    bin_size
        Side of a bin, in the file's unit of coordinates.
    pitch_um
        The file's unit of coordinates in µm: the distance between DNBs.

    Returns
    -------
    AnnData
        n bins by T genes as `gest.sections.validate` returns them; ``obsm["spatial"]`` (n, 2) are centres of bins in
        µm for a GEM, whose bins are named ``{name}_{i}_{j}``, and the file's places for an ``.h5ad``.

    Raises
    ------
    UserError
        If there is no file or more than one, it cannot be read to its end, a column is missing, or coordinates or
        counts are no numbers ≥ 0.
    """
    for key, value in (("bin_size", bin_size), ("pitch_um", pitch_um)):
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{path}: {key} is {value}, where a finite number above 0 is allowed; correct `{key}`")
    file = _file(Path(path), name)
    if file.suffix == ".h5ad":
        return _read_h5ad(file, name, donor, bin_size, pitch_um)
    counts, bins, genes = _bin(file, bin_size)
    section = ad.AnnData(
        counts,
        obs=pd.DataFrame({"section": name, "donor": donor or name}, index=[f"{name}_{i}_{j}" for i, j in bins]),
        var=pd.DataFrame(index=genes),
        obsm={"spatial": (bins + 0.5) * bin_size * pitch_um},
        uns={"gest": {"x": "counts"}},
    )
    return validate(section, name=f"{file}, section '{name}'")


def _file(path: Path, name: str) -> Path:
    """Return the one file that holds the section."""
    if path.is_file() and path.name.endswith(SUFFIXES):
        return path
    files = [file for suffix in SUFFIXES if (file := path / f"{name}{suffix}").is_file()]
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise UserError(
            f"{path}: {found} of {', '.join(name + suffix for suffix in SUFFIXES)} lies there, where exactly one is "
            "expected; place one, and remove the others"
        )
    return files[0]


def _read_h5ad(file: Path, name: str, donor: str | None, bin_size: int, pitch_um: float) -> ad.AnnData:
    """Read bins that a file holds already, and check their distance."""
    section = anndata.read(file, name=name, microns_per_unit=pitch_um)
    section.obs["donor"] = donor or name
    xy, expected = section.obsm["spatial"], bin_size * pitch_um
    # On a lattice the nearest two bins lie exactly one side apart, wherever the tissue has holes.
    spacing = float(KDTree(xy).query(xy, k=2)[0][:, 1].min())
    if not math.isclose(spacing, expected, rel_tol=0.01):
        raise UserError(
            f"{file}: the nearest bins lie {spacing / pitch_um:.4g} of the file's units apart, where `bin_size` is "
            f"{bin_size}; set it to the bins' side in these units and `pitch_um` to the unit in µm, or read cells "
            "with the source anndata"
        )
    return section


def _bin(file: Path, bin_size: int) -> tuple[sp.csr_matrix, np.ndarray, pd.Index]:
    """Return counts (n, T), bins (n, 2) as column and row, and the genes in alphabetical order."""
    genes: dict[str, int] = {}
    # Sums of ever fewer and larger parts, each a sparse row over all packed keys: every count is added log n times.
    parts: list[sp.csr_array] = []
    for table in _chunks(file):
        new = table["gene"].cat.categories
        code = np.array([genes.setdefault(gene, len(genes)) for gene in new])[table["gene"].cat.codes]
        i, j = (np.floor_divide(table[axis].to_numpy(), bin_size).astype(np.int64) for axis in "xy")
        if max(i.max(), j.max(), len(genes)) >= 1 << BITS:
            raise UserError(
                f"{file}: coordinates go up to {table[['x', 'y']].max().max():g} and there are {len(genes)} genes, "
                f"where at most {1 << BITS} bins a side and as many genes are allowed; check the columns, or raise "
                "`bin_size`"
            )
        key = (i << 2 * BITS) | (j << BITS) | code
        where = (np.zeros(key.size, dtype=np.int64), key)
        parts.append(sp.coo_array((table["count"].to_numpy(), where), shape=(1, np.iinfo(np.int64).max)).tocsr())
        while len(parts) > 1 and parts[-2].nnz < 2 * parts[-1].nnz:
            parts.append(parts.pop() + parts.pop())
    while len(parts) > 1:
        parts.append(parts.pop() + parts.pop())
    (total,) = parts
    # Keys are sorted, so a bin starts where the place changes; genes are put in order within it.
    place = total.indices >> BITS
    start = np.flatnonzero(np.diff(place, prepend=-1))
    place = place[start]
    names, rank = np.unique(np.array(list(genes), dtype=object), return_inverse=True)
    gene = rank.astype(np.int32)[total.indices & (1 << BITS) - 1]
    counts = sp.csr_matrix((total.data, gene, np.append(start, total.nnz)), shape=(len(place), len(names)))
    counts.sort_indices()
    return counts, np.column_stack([place >> BITS, place & (1 << BITS) - 1]), pd.Index(names)


def _chunks(file: Path) -> Iterator[pd.DataFrame]:
    """Yield `CHUNK` checked rows at once: gene (categorical), x, y (float64) and count (float32)."""
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
                        f"{file}: there are no rows below the header, where one per gene and place is expected; "
                        "fetch the file again"
                    )
                table = table.rename(columns=columns)
                numbers = table[["x", "y", "count"]]
                bad = ~((numbers >= 0) & np.isfinite(numbers)).all(axis=1) | (table["gene"] == "")
                if bad.any():
                    raise UserError(
                        f"{file}: {bad.sum()} rows, the first of them row {bad.idxmax() + 1} below the header, lack "
                        "a gene, or a number ≥ 0 for x, y or count, where each has all four; fetch the file again"
                    )
                yield table
    # ValueError is what pandas raises for text in place of a number, UserError is one too.
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{file}: this cannot be read to its end ({error}), where a whole GEM table with numbers for coordinates "
            "and counts is expected; fetch the file again"
        ) from error


def _columns(file: Path, header: list[str]) -> dict[str, str]:
    """Return the file's name of each of the four columns, to what it holds."""
    lower = {column.lower(): column for column in header}
    found = {}
    for role, aliases in ALIASES.items():
        column = next((lower[alias] for alias in aliases if alias in lower), None)
        if column is None:
            raise UserError(
                f"{file}: there is no column for {role} among {', '.join(header) or 'none'}, where one of "
                f"{', '.join(aliases)} is expected in any case; rename it"
            )
        found[column] = role
    return found
