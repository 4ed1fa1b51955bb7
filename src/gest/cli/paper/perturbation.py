"""Step of the ischemia experiment: perturb a healthy section with the genes of an infarct's core."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

import gest
from gest.cli.app import log, steps
from gest.cli.options import Device, read_config, write_whole
from gest.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from gest.paper.ischemia.reference import Profile
    from gest.vocabulary import Vocabulary


@steps.command()
def perturb_ischemia(
    reference: Annotated[list[Path], Argument(help="Sections (.h5ad) of the injured and of the sham tissue.")],
    table: Annotated[
        list[Path], Option(help="Table (.csv) of an animal's sections from `gest paper import-atlas`; repeatable.")
    ],
    model: Annotated[Path, Option(help="Model: a folder from `gest pretrain`.")],
    config: Annotated[Path, Option(help="JSON with the key `perturbation` of config/config.yaml.")],
    out: Annotated[Path, Option(help="Folder for core.csv, calls.csv, replicates.csv and cells.h5ad.")],
    device: Device = "auto",
) -> None:
    """Change the genes of an infarct's core in a healthy section."""
    from gest.paper.ischemia import experiment
    from gest.sections import read_section

    settings = read_config(config)["perturbation"]
    healthy = read_section(_find_file(settings["section"], table))
    trained = gest.load(model, expected=gest.GeST).to(device)
    core, profile = _read_reference(reference, settings, trained.vocabulary)
    result = experiment.perturb_ischemia(
        healthy,
        trained,
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
    model_seed = trained.metrics.get("seed", 0)
    tables = {"core": core}
    tables["calls"] = result.calls.assign(model_seed=model_seed)
    tables["replicates"] = result.replicates.assign(model_seed=model_seed)
    for name, rows in tables.items():
        write_whole(out / f"{name}.csv", lambda path, rows=rows: rows.to_csv(path, index=False))
    write_whole(out / "cells.h5ad", result.shown.write_h5ad)
    counts = core["call"].value_counts()
    log.info("%s: %d genes High and %d Low in the core, %d and %d of them changed in %d replicates",
             out, counts.get("High", 0), counts.get("Low", 0), result.shown.uns["n_activated"],
             result.shown.uns["n_inhibited"], len(result.replicates))  # fmt: skip


def _read_reference(
    paths: list[Path], settings: dict[str, Any], vocabulary: "Vocabulary"
) -> tuple["pd.DataFrame", "Profile"]:
    """Find the genes that change in the core, and the mean profile around the core."""
    from fnmatch import fnmatchcase

    from gest.paper.ischemia.reference import average_profile, find_core_degs, select_region
    from gest.sections import read_section

    injured, sham = [], []
    for section in map(read_section, paths):
        is_sham = fnmatchcase(section.obs["section"].iloc[0], settings["sham"])
        (sham if is_sham else injured).append(section)
    regions = settings["regions"]
    core = find_core_degs(injured, sham, core=regions["core"], sham_region=regions["sham"], **settings["core_degs"])
    return core, average_profile(select_region(injured, regions["around"]), vocabulary.genes, vocabulary)


def _find_file(section: str, tables: list[Path]) -> Path:
    """Find the file of a section by its upstream name."""
    import pandas as pd

    sections = pd.concat([pd.read_csv(path, dtype=str).assign(folder=str(path.parent)) for path in tables])
    row = sections[sections["section"] == section]
    if row.empty:
        names = sections["section"].tolist()
        raise UserError(
            f"perturbation.section: unknown section '{section}' (choose one of the {len(names)} sections {names[0]} to "
            f"{names[-1]})."
        )
    return Path(row["folder"].iloc[0], f"{row['name'].iloc[0]}.h5ad")
