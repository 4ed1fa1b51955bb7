"""Read the sections of one mouse of the Zhuang laboratory's MERFISH atlas, as the Allen Brain Cell Atlas publishes it.

A mouse has five files: the raw matrix, which includes cells that failed quality control; the cells that passed it; the
genes; coordinates and parcellations in the Allen CCFv3 of the registered cells; and the acronyms of the parcellations.
`abc_atlas_tables` reads the csv tables, and `abc_atlas_matrix` reads the matrix.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from gest.data.sources.abc_atlas_matrix import Blocks, find_matrix, find_rows, open_matrix, read_index, read_sections
from gest.data.sources.abc_atlas_tables import GENES, METADATA, read_annotation, read_cells, read_genes
from gest.errors import UserError
from gest.sections import validate

_CELL_COLUMNS = {"brain_section_label": "category", "donor_label": "category", "x": float, "y": float}


def read(
    folder: str | Path,
    *,
    name: str,
    n_sections: int,
    labels: Mapping[str, str],
    held_out: Mapping[str, Any] | None = None,
) -> Iterator[tuple[str, ad.AnnData, dict[str, Any]]]:
    """Read the sections of one mouse, in the order of their upstream numbers.

    A held-out section comes last. Memory holds at most the sparse counts of the cells in ``cell_metadata.csv``; those
    of a section are freed once it has been yielded.

    Parameters
    ----------
    folder
        Folder with ``*-raw.h5ad``, ``cell_metadata.csv``, ``gene.csv``, ``ccf_coordinates.csv`` and
        ``parcellation_to_parcellation_term_membership_acronym.csv``.
    name
        Prefix of the sections' names: "mouse1" gives mouse1_001, mouse1_002, ...
    n_sections
        Expected number of sections.
    labels
        Maps each level of annotation (e.g. "region") to a parcellation (e.g. "parcellation_structure").
    held_out
        Which section to hold out: the only one with "cells" cells, or else the one whose upstream name is "otherwise".
        It is named ``{name}_validation``, and the others are numbered without it. None holds out no section.

    Yields
    ------
    name, section, record
        The name; the section as `gest.sections.validate` returns it, with coordinates in µm, ``obs`` columns section
        (its upstream name), donor, hemisphere and the levels, gene symbols as ``var_names``, and ``var["ensembl"]``;
        and its row in a table of sections: name, section, cells, right (share of the registered cells in the right
        hemisphere, NaN if none is registered), held_out, why.

    Raises
    ------
    UserError
        If a file or a column is missing; cell labels are numbers, repeated or missing from another file; the number of
        sections is not the expected one; or the section to hold out cannot be determined.

    Source: https://alleninstitute.github.io/abc_atlas_access
    """
    folder = Path(folder)
    matrix = find_matrix(folder)
    cells = read_cells(folder / METADATA, _CELL_COLUMNS)
    sizes = cells["brain_section_label"].value_counts()
    if len(sizes) != n_sections:
        raise UserError(
            f"{folder / METADATA}: brain_section_label names {len(sizes)} sections (expected {n_sections}); "
            "download the file again, or correct `expected.sections` in the dataset's config"
        )
    names, why = _name_sections(sizes, name, held_out, folder / METADATA)
    with open_matrix(matrix) as file:
        genes = read_genes(read_index(file["var"]), folder / GENES, matrix)
        rows = read_index(file["obs"])
    cells["row"] = find_rows(cells.index, rows, folder / METADATA, matrix)
    section_of_row = np.full(len(rows), -1)
    del rows  # 4 million strings
    section_of_row[cells["row"]] = cells["brain_section_label"].cat.codes
    cells = cells.sort_values("row")
    obs = pd.DataFrame({"section": cells["brain_section_label"], "donor": cells["donor_label"]})
    obs = obs.join(read_annotation(folder, cells.index, labels))

    with open_matrix(matrix) as file:
        counts = read_sections(file["X"], section_of_row, matrix)
    for label, section in _assemble(counts, cells, obs, genes, list(labels), names):
        section_name = names[label]
        is_held_out = section_name == f"{name}_validation"
        record = {"name": section_name, "section": label, "cells": int(sizes[label])}
        record |= {"right": _share_right(section), "held_out": is_held_out, "why": why if is_held_out else ""}
        yield section_name, validate(section, name=f"{matrix}, section '{label}'"), record


def _name_sections(
    sizes: pd.Series, name: str, held_out: Mapping[str, Any] | None, path: Path
) -> tuple[dict[str, str], str]:
    """Map upstream names to new names, and explain the choice of a held-out one.

    The order is that of the upstream numbers, with the held-out section last.
    """
    unnumbered = [label for label in sizes.index if not label.rpartition(".")[2].isdigit()]
    if unnumbered:
        raise UserError(
            f"{path}: brain_section_label '{unnumbered[0]}' does not end in a number (expected the like of "
            "'Zhuang-ABCA-1.079'); download the file again"
        )
    # Several sections share one z, so only their numbers give the order.
    ordered = sorted(sizes.index, key=lambda label: int(label.rpartition(".")[2]))
    if held_out is None:
        return {label: f"{name}_{rank:03d}" for rank, label in enumerate(ordered, start=1)}, ""
    size, otherwise = held_out["cells"], held_out["otherwise"]
    candidates = [label for label in ordered if sizes[label] == size]
    if len(candidates) == 1:
        chosen, why = candidates[0], f"the only section of {size} cells"
    elif otherwise in ordered:
        chosen, why = otherwise, f"named in the configuration, for {len(candidates)} sections have {size} cells"
    else:
        raise UserError(
            f"{path}: {len(candidates)} sections have {size} cells (expected 1 to hold out) and none is called "
            f"'{otherwise}'; set `otherwise` to one of {ordered[0]} to {ordered[-1]} in the dataset's config"
        )
    ordered.remove(chosen)
    ranked = {label: f"{name}_{rank:03d}" for rank, label in enumerate(ordered, start=1)}
    return {**ranked, chosen: f"{name}_validation"}, why


def _assemble(
    counts: dict[int, Blocks],
    cells: pd.DataFrame,
    obs: pd.DataFrame,
    genes: pd.DataFrame,
    levels: Sequence[str],
    order: Iterable[str],
) -> Iterator[tuple[str, ad.AnnData]]:
    """Yield each section's upstream name and AnnData, and free its counts."""
    members = cells.groupby("brain_section_label", observed=True).indices
    codes = {label: code for code, label in enumerate(cells["brain_section_label"].cat.categories)}
    xy = cells[["x", "y"]].to_numpy() * 1000  # mm to µm
    for label in order:
        section = ad.AnnData(
            X=sp.bmat(counts.pop(codes[label]), format="csr"),
            obs=obs.iloc[members[label]],
            var=genes,
            obsm={"spatial": xy[members[label]]},
            uns={"gest": {"x": "counts"}},
        )
        for level in levels:
            section.obs[level] = section.obs[level].cat.remove_unused_categories()
        yield label, section


def _share_right(section: ad.AnnData) -> float:
    """Return the share of registered cells in the right hemisphere.

    It is NaN if no cell is registered.
    """
    hemisphere = section.obs["hemisphere"].dropna()
    return float((hemisphere == "right").mean())
