"""Verbs that fetch upstream files and turn them into sections."""

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from gest.cli.app import (
    DatasetConfig,
    Out,
    SectionName,
    app,
    check_keys,
    examples,
    log,
    paper,
    read_config,
    writable,
    write_whole,
)
from gest.errors import UserError

SOURCES = ("anndata", "visium", "stereo_seq", "stroke")


@paper.command()
def download(
    name: Annotated[str, Argument(help="The file, by its path in its set's folder.")],
    folder: Annotated[Path, Option(help="Folder of the set; a file that is there already is verified and used.")],
    entry: Annotated[
        str,
        Option(help="What is known of the file, as an entry of config/datasets.yaml: JSON, or a file that holds it."),
    ],
    receipt: Annotated[Path, Option(help="JSON to write: size and hashes of what was found to be right.")],
    page: Annotated[str, Option(help="Where a person finds the file.")],
    again: Annotated[str, Option(help="Command that goes on, for errors to tell.")] = "the same command",
) -> None:
    """Download one upstream file, going on where an earlier run stopped, and verify it."""
    from gest.data.download import obtain

    try:
        about = json.loads(entry) if entry.lstrip().startswith("{") else read_config(Path(entry))
    except json.JSONDecodeError as error:
        raise UserError(f"download: --entry is no JSON ({error}); give an entry of config/datasets.yaml.") from error
    found = obtain(about, name, folder, page=page, again=again)
    write_whole(receipt, lambda path: path.write_text(json.dumps(found, indent=2) + "\n"))
    log.info("%s: verified (%s)", folder / found["file"], ", ".join(found["checked"]) or "nothing is known of it")


@paper.command("import")
def import_section(dataset_config: DatasetConfig, section: SectionName, out: Out) -> None:
    """Read one section of a user's .h5ad, of Space Ranger's folders, of Stereo-seq or of the stroke data."""
    from importlib import import_module

    from gest.data.inventory import expect
    from gest.sections import write_section

    settings = read_config(dataset_config)
    source = settings.pop("source", "anndata")
    if source not in SOURCES:
        raise UserError(f"{dataset_config}: source is '{source}', where {', '.join(SOURCES)} are allowed.")
    expected = settings.pop("expected", None) or {}
    if donors := settings.pop("donors", None):
        settings["donor"] = donors.get(section)
    read = import_module(f"gest.data.sources.{source}").read
    settings = {"name": section} | settings
    check_keys(settings, read, dataset_config)
    adata = read(**settings)
    known = {key: expected[key] for key in expected.keys() & {"genes"}}
    if section in expected.get("cells_of", {}):
        known["cells"] = expected["cells_of"][section]
    expect({"genes": adata.n_vars, "cells": adata.n_obs}, known, where=f"{settings['path']}, {section}")
    write_section(adata, out)
    log.info("%s: %d cells, %d genes", out, adata.n_obs, adata.n_vars)


@paper.command()
def cut(dataset_config: DatasetConfig, section: SectionName, out: Out) -> None:
    """Cut a section out of the one beside it, as `cut` in the dataset's configuration says."""
    from gest.data.cut import cut as cut_out
    from gest.sections import read_section, write_section

    cuts = read_config(dataset_config).get("cut", {})
    if section not in cuts:
        known = ", ".join(cuts) or "none"
        raise UserError(f"{dataset_config}: section '{section}' is not among those of 'cut': {known}.")
    settings = dict(cuts[section])
    whole = read_section(out.with_name(f"{settings.pop('of')}.h5ad"))
    part = cut_out(whole, name=section, **settings)
    write_section(part, out)
    log.info("%s: %d of %d cells", out, part.n_obs, whole.n_obs)


@paper.command()
def import_atlas(
    dataset_config: DatasetConfig,
    part: Annotated[str, Option(help="Name of the part, e.g. mouse1; its sections are numbered by rank.")],
    out: Annotated[Path, Option(help="Folder for the sections, and for the table of their upstream names.")],
) -> None:
    """Read all sections of one animal of the ABC Atlas."""
    import pandas as pd

    from gest.data.inventory import expect
    from gest.data.sources.abc_atlas import read
    from gest.sections import write_section

    settings = read_config(dataset_config)
    if part not in settings.get("parts", {}):
        known = ", ".join(settings.get("parts", {})) or "none"
        raise UserError(f"{dataset_config}: '{part}' is not among the 'parts': {known}.")
    about = settings["parts"][part]
    partial = out / f".partial-{part}"
    shutil.rmtree(partial, ignore_errors=True)
    rows: list[dict[str, Any]] = []
    try:
        for name, adata, row in read(
            about["path"],
            name=part,
            n_sections=about["sections"],
            labels=settings.get("labels", {}),
            held_out=about.get("held_out"),
        ):
            write_section(adata, partial / f"{name}.h5ad")
            rows.append(row)
        genes = adata.n_vars
        found = {"sections": len(rows), "cells": sum(row["cells"] for row in rows), "genes": genes}
        expect(found, about.get("expected"), where=about["path"])
        pd.DataFrame(rows).to_csv(partial / f"{part}.csv", index=False)
        for path in sorted(partial.iterdir()):
            path.replace(out / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    log.info("%s: %d sections, %d cells, %d genes", out, *found.values())


@paper.command()
def fixtures(
    config: Annotated[Path, Option(help="JSON of the simulated tissue and of the sections wanted.")],
    out: Annotated[Path, Option(help="Folder to write.")],
) -> None:
    """Simulate small upstream files of all five datasets, as the toy run downloads them."""
    from gest.testing import write_upstream
    from gest.utils.files import whole_folder

    with whole_folder(out) as partial:
        write_upstream(partial, read_config(config))


@app.command(
    epilog=examples(
        "gest simulate --section s1 --section s2 --section s3 --out brain.h5ad",
        "    60 genes in three sections of 1,800 cells, one behind the other; obs has region and cell_type",
    )
)
def simulate(
    section: Annotated[list[str], Option(help="Name of a section; give the option once for each.")],
    out: Annotated[Path, Option(help="File to write (.h5ad), of all the sections.")],
    dataset_config: Annotated[
        Path | None,
        Option(
            help="YAML or JSON with the simulator's keys under `simulation`, and what differs under its `sections`."
        ),
    ] = None,
) -> None:
    """Simulate tissue, to try things on: layers, nuclei, cell types, genes that follow them or their neighbours."""
    import anndata as ad

    from gest.data.sources.simulate import simulate as simulated

    writable(out, ".h5ad")
    given = {"donor": "donor_1"} | read_config(dataset_config).get("simulation", {})
    described = given.pop("sections", {name: {"slice": i / len(section)} for i, name in enumerate(section)})
    made = []
    for name in section:
        if name not in described:
            known = ", ".join(described) or "none"
            raise UserError(f"{dataset_config}: section '{name}' is not among those of 'simulation.sections': {known}.")
        settings = given | described[name]
        check_keys(settings, simulated, dataset_config)
        made.append(simulated(name, **settings))
    together = ad.concat(made, merge="same", uns_merge="same")
    write_whole(out, together.write_h5ad)
    log.info("%s: %d cells, %d genes", out, *together.shape)
