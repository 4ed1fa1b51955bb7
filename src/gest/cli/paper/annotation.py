"""Steps of annotation: learn labels from training sections by any method, and label other sections."""

from pathlib import Path
from typing import Annotated

from typer import Option

import gest
from gest.baselines import registry
from gest.cli.app import log, steps
from gest.cli.fit_annotator import LabelledSections, Validation, read_annotation_settings
from gest.cli.options import ConfigFile, Device, Section, read_config


@steps.command()
def learn_labels(
    train: LabelledSections,
    method: Annotated[str, Option(help=f"Method: {', '.join(registry.names('annotation'))}.")],
    out: Annotated[Path, Option(help="Folder to write.")],
    n_seeds: Annotated[int, Option(min=1, help="Number of seeds, counted from 0.")] = 1,
    config: ConfigFile = None,
    model: Annotated[list[Path], Option(help="Model, for gest; repeat for more models.")] = [],  # noqa: B006
    vocabulary: Annotated[Path | None, Option(help="Vocabulary (.npz), for packaged methods.")] = None,
    validation: Validation = [],  # noqa: B006
    device: Device = "auto",
) -> None:
    """Learn all levels of labels by one method."""
    from gest.paper.methods import annotation as methods
    from gest.tasks.annotation.annotator import POOLS
    from gest.vocabulary import Vocabulary

    settings = read_config(config)
    annotation = settings.get("annotation", {})
    methods.fit(
        method,
        train,
        list(settings.get("labels", {})),
        out=out,
        vocabulary=Vocabulary.load(vocabulary) if vocabulary else None,
        models=[gest.load(folder, expected=gest.GeST).to(device) for folder in model],
        validation=validation,
        seeds=range(n_seeds),
        pools=annotation.get("pools", POOLS),
        training_cells=annotation.get("training_cells"),
        settings=read_annotation_settings(annotation),
    )


@steps.command()
def label(
    section: Section,
    learnt: Annotated[Path, Option(help="Folder from `gest paper learn-labels`.")],
    out: Annotated[Path, Option(help="Labels to write (.csv), and .runs.csv with time and status of every run.")],
    device: Device = "auto",
) -> None:
    """Label the cells of a section by all runs of a method."""
    from gest.paper.methods import annotation as methods
    from gest.paper.scores.runs import write_labellings
    from gest.sections import read_section

    labellings = methods.label(learnt, section, device=device)
    write_labellings(labellings, read_section(section).obs_names, out)
    for run in labellings:
        log.info("%s, %s, %s, seed %d: %.1f s, %s",
                 run.method, run.variant, run.level, run.seed, run.seconds, run.status)  # fmt: skip
