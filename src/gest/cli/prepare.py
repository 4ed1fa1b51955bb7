"""`gest prepare`: check a user's file and write its sections."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from gest.cli.app import app, format_examples, log
from gest.cli.options import DryRun
from gest.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData


@app.command(
    epilog=format_examples(
        "gest prepare brain.h5ad --section-key slide --out sections",
        "    one file per slide: sections/slide1.h5ad, sections/slide2.h5ad, …",
        "gest prepare brain.h5ad --section-key slide --label region --layer raw --microns-per-unit 1000 --out sections",
        "    counts are in layers['raw'], coordinates in mm, and obs['region'] is kept",
        "gest prepare xenium.zarr --out sections --dry-run",
        "    checks the table of a SpatialData object without writing anything",
    )
)
def prepare(
    adata: Annotated[Path, Argument(help="Your file: an .h5ad or SpatialData .zarr with one or more sections.")],
    out: Annotated[Path, Option(help="Folder to write: one .h5ad per section, and sections.csv.")],
    section_key: Annotated[
        str | None, Option(help="Column of obs that names the section; default: 'section' if there is one.")
    ] = None,
    donor_key: Annotated[
        str | None, Option(help="Column of obs that names the donor; default: one donor per section.")
    ] = None,
    label: Annotated[list[str], Option(help="Column of obs with labels to keep; repeat for more columns.")] = [],  # noqa: B006
    layer: Annotated[str | None, Option(help="Layer that holds the counts, if X does not.")] = None,
    spatial_key: Annotated[str, Option(help="Key of obsm with the coordinates.")] = "spatial",
    microns_per_unit: Annotated[
        float | None, Option(help="µm per unit of the coordinates: 1000 for mm, the size of a pixel for pixels.")
    ] = None,
    normalised: Annotated[
        bool,
        Option(
            "--normalised", help="X holds log-normalised values instead of counts; so must the model's training data."
        ),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Check your file and write its sections, one .h5ad each."""
    import pandas as pd

    from gest.data.sources.anndata import names_of, read
    from gest.data.sources.open_file import open_file
    from gest.sections import write_section
    from gest.utils.files import replaceable, whole_folder

    replaceable(out, "sections.csv")  # fail before the work
    if section_key is None and "section" in open_file(adata, backed=True).obs:
        section_key = "section"
    names = names_of(adata, section_key) if section_key else [adata.stem]
    files = _name_files(adata, names)
    settings = {"section_key": section_key, "donor_key": donor_key, "labels": {name: name for name in label}}
    settings |= {"layer": layer, "spatial_key": spatial_key, "microns_per_unit": microns_per_unit}
    settings |= {"x": "normalised" if normalised else "counts"}
    rows = []
    with nullcontext() if dry_run else whole_folder(out, "sections.csv") as folder:
        for file, name in files.items():
            section = read(adata, name=name, **settings)
            rows.append(_summarise(name, section))
            if not dry_run:
                write_section(section, folder / file)
        if not dry_run:
            pd.DataFrame(rows).to_csv(folder / "sections.csv", index=False)
    log.info("%s: %d sections%s", out, len(names), " would be written" if dry_run else "")


def _name_files(adata: Path, names: list[str]) -> dict[str, str]:
    """Return the sections by name of the file that each is written to."""
    sections: dict[str, str] = {}
    for name in names:
        file = f"{name.replace('/', '_')}.h5ad"
        other = sections.setdefault(file, name)
        if other != name:
            raise UserError(f"{adata}: sections '{other}' and '{name}' would both be written to {file}; rename one.")
    return sections


def _summarise(name: str, section: "AnnData") -> dict[str, Any]:
    """Log the size and extent of a section, and return them as a row of sections.csv."""
    xy = section.obsm["spatial"]
    x_min, y_min = xy.min(axis=0).round(1)
    x_max, y_max = xy.max(axis=0).round(1)
    log.info("%s: %d cells, %d genes, x %.0f to %.0f µm, y %.0f to %.0f µm",
             name, *section.shape, x_min, x_max, y_min, y_max)  # fmt: skip
    row = {"section": name, "donor": section.obs["donor"].iloc[0], "cells": section.n_obs, "genes": section.n_vars}
    return row | {"x_min_um": x_min, "x_max_um": x_max, "y_min_um": y_min, "y_max_um": y_max}
