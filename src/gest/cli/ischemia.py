"""The verb of the ischaemia experiment."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import Device, log, paper, read_config, write_whole
from gest.errors import UserError


@paper.command()
def perturb_ischemia(
    reference: Annotated[list[Path], Argument(help="Sections of the injured and of the sham tissue (.h5ad).")],
    table: Annotated[
        list[Path],
        Option(help="Table of an animal's sections (.csv), as `gest paper import-atlas` writes it beside them."),
    ],
    model: Annotated[Path, Option(help="Model directory, as `gest pretrain` writes it.")],
    config: Annotated[Path, Option(help="JSON with the key `perturbation` of config/config.yaml.")],
    out: Annotated[Path, Option(help="Folder for core.csv, calls.csv, replicates.csv and cells.h5ad.")],
    device: Device = "auto",
) -> None:
    """Give a region of healthy tissue the genes of an infarct's core, many times, and call the genes around it."""
    from fnmatch import fnmatchcase

    from gest.hub.load import load
    from gest.model import GeST
    from gest.paper.ischemia.experiment import perturb_ischemia as perturbed
    from gest.paper.ischemia.reference import core_degs, mean_profile, of_region
    from gest.sections import read_section

    settings = read_config(config)["perturbation"]
    whole = read_section(_file_of(settings["section"], table))
    learnt = load(model, expected=GeST).to(device)
    sections = [read_section(path) for path in reference]
    is_sham = [fnmatchcase(section.obs["section"].iloc[0], settings["sham"]) for section in sections]
    injured, sham = ([s for s, named in zip(sections, is_sham, strict=True) if named == kind] for kind in (False, True))
    regions = settings["regions"]
    core = core_degs(injured, sham, core=regions["core"], sham_region=regions["sham"], **settings["core_degs"])
    profile = mean_profile(of_region(injured, regions["around"]), learnt.vocabulary.genes, learnt.vocabulary)
    made = perturbed(
        whole,
        learnt,
        degs=core,
        reference=profile,
        roi=settings["roi"],
        seeds=settings["seeds"],
        sigmas=settings["sigmas"],
        context=settings["context"],
        thresholds=settings["deg"],
        n_shuffles=settings["shuffles"],
        unchanged=[gene for genes in settings["shown"].values() for gene in genes],
    )
    model_seed = learnt.metrics.get("seed", 0)
    for name, rows in (("core", core), ("calls", made.calls), ("replicates", made.replicates)):
        rows = rows if name == "core" else rows.assign(model_seed=model_seed)
        write_whole(out / f"{name}.csv", lambda path, rows=rows: rows.to_csv(path, index=False))
    write_whole(out / "cells.h5ad", made.shown.write_h5ad)
    counts = core["call"].value_counts()
    log.info("%s: %d genes High and %d Low in the core, %d and %d of them changed in %d replicates", out,
             counts.get("High", 0), counts.get("Low", 0), made.shown.uns["n_activated"],
             made.shown.uns["n_inhibited"], len(made.replicates))  # fmt: skip


def _file_of(section: str, tables: list[Path]) -> Path:
    """Find the file of a section by its upstream name."""
    import pandas as pd

    known = pd.concat([pd.read_csv(path, dtype=str).assign(folder=str(path.parent)) for path in tables])
    row = known[known["section"] == section]
    if row.empty:
        names = known["section"].tolist()
        raise UserError(
            f"perturbation.section: '{section}' is not among the {len(names)} sections {names[0]} to {names[-1]}; name "
            "one of the animal's."
        )
    return Path(row["folder"].iloc[0], f"{row['name'].iloc[0]}.h5ad")
