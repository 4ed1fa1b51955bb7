"""Steps that turn upstream files into sections."""

import shutil
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from gest.cli.app import log, steps
from gest.cli.options import DatasetConfig, Out, SectionName, check_keys, read_config
from gest.errors import UserError

SOURCES = ("anndata", "visium", "stereo_seq", "stroke")


@steps.command("import")
def import_section(dataset_config: DatasetConfig, section: SectionName, out: Out) -> None:
    """Read one section from its upstream files."""
    from gest.data.inventory import expect
    from gest.sections import write_section

    settings = read_config(dataset_config)
    source = settings.pop("source", "anndata")
    if source not in SOURCES:
        raise UserError(f"{dataset_config}: unknown source '{source}' (choose {', '.join(SOURCES)}).")
    inventory = settings.pop("expected", None) or {}
    if donors := settings.pop("donors", None):
        settings["donor"] = donors.get(section)
    read = import_module(f"gest.data.sources.{source}").read
    settings = {"name": section} | settings
    check_keys(settings, read, dataset_config)
    adata = read(**settings)
    expected = {key: inventory[key] for key in inventory.keys() & {"genes"}}
    if section in inventory.get("cells_of", {}):
        expected["cells"] = inventory["cells_of"][section]
    expect({"genes": adata.n_vars, "cells": adata.n_obs}, expected, where=f"{settings['path']}, {section}")
    write_section(adata, out)
    log.info("%s: %d cells, %d genes", out, adata.n_obs, adata.n_vars)


@steps.command()
def import_atlas(
    dataset_config: DatasetConfig,
    part: Annotated[str, Option(help="Name of the part, e.g. mouse1; its sections are numbered by rank.")],
    out: Annotated[Path, Option(help="Folder for the sections and the table of their upstream names.")],
) -> None:
    """Read all sections of one animal of the ABC Atlas."""
    import pandas as pd

    from gest.data.inventory import expect
    from gest.data.sources.abc_atlas import read
    from gest.sections import write_section

    settings = read_config(dataset_config)
    parts = settings.get("parts", {})
    if part not in parts:
        raise UserError(f"{dataset_config}: unknown part '{part}' ('parts' has {', '.join(parts) or 'none'}).")
    animal = parts[part]
    partial = out / f".partial-{part}"
    shutil.rmtree(partial, ignore_errors=True)
    rows: list[dict[str, Any]] = []
    try:
        for name, adata, row in read(
            animal["path"],
            name=part,
            n_sections=animal["sections"],
            labels=settings.get("labels", {}),
            held_out=animal.get("held_out"),
        ):
            write_section(adata, partial / f"{name}.h5ad")
            rows.append(row)
        counts = {"sections": len(rows), "cells": sum(row["cells"] for row in rows), "genes": adata.n_vars}
        expect(counts, animal.get("expected"), where=animal["path"])
        pd.DataFrame(rows).to_csv(partial / f"{part}.csv", index=False)
        for path in sorted(partial.iterdir()):
            path.replace(out / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    log.info("%s: %d sections, %d cells, %d genes", out, *counts.values())


@steps.command()
def cut(dataset_config: DatasetConfig, section: SectionName, out: Out) -> None:
    """Cut a section out of another section of the same dataset."""
    from gest.data.cut import cut as cut_out
    from gest.sections import read_section, write_section

    cuts = read_config(dataset_config).get("cut", {})
    if section not in cuts:
        names = ", ".join(cuts) or "none"
        raise UserError(f"{dataset_config}: unknown section '{section}' ('cut' has {names}).")
    settings = dict(cuts[section])
    whole = read_section(out.with_name(f"{settings.pop('of')}.h5ad"))
    part = cut_out(whole, name=section, **settings)
    write_section(part, out)
    log.info("%s: %d of %d cells", out, part.n_obs, whole.n_obs)
