"""Verbs that learn labels from annotated sections and label others with them."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from gest.cli.app import (
    BatchSize,
    ConfigFile,
    Device,
    DryRun,
    ModelFolder,
    OwnSection,
    Section,
    Seed,
    app,
    examples,
    log,
    paper,
    read_config,
    writable,
    write_whole,
)
from gest.errors import naming

if TYPE_CHECKING:
    from gest.tasks.annotation.fine_tuning import Settings

Training = Annotated[list[Path], Argument(help="Training sections (.h5ad) with labels in obs.")]
Validation = Annotated[
    list[Path], Option(help="Section to stop early by, in the place of blocks of the training sections; once for each.")
]

OTHERS = ("pools", "training_cells", "methods", "datasets")  # keys of annotation that are no settings of fine-tuning


def _settings(annotation: dict[str, Any], **others: Any) -> "Settings":
    """Take the settings of fine-tuning among those of annotation, and others; refuse keys that are not known."""
    from gest.tasks.annotation.fine_tuning import Settings
    from gest.utils.settings import read_settings, refuse_unknown

    own = [field.name for field in fields(Settings) if field.name != "pool"]
    refuse_unknown(annotation, [*own, *OTHERS], "annotation")
    return read_settings(Settings, {key: annotation[key] for key in own if key in annotation} | others, "annotation")


@app.command(
    epilog=examples(
        "gest fit-annotator sections/s1.h5ad sections/s2.h5ad --model model --label region --out annotator",
        "gest annotate mine.h5ad --annotator annotator --out annotated.h5ad",
    )
)
def fit_annotator(
    train: Training,
    model: ModelFolder,
    label: Annotated[str, Option(help="Column of obs to learn.")],
    out: Annotated[Path, Option(help="Directory of the annotator to write.")],
    pool: Annotated[str, Option(help="mean or max, over the outputs of a niche.")] = "mean",
    validation: Validation = [],  # noqa: B006
    config: ConfigFile = None,
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Fine-tune a model to annotate cells by their niches (section 3.5)."""
    from gest.hub.load import load
    from gest.model import GeST
    from gest.tasks.annotation.fit_annotator import fit_annotator as fitted
    from gest.tasks.annotation.labels import read_labelled
    from gest.utils.files import replaceable, whole_folder

    annotation = read_config(config).get("annotation", {})
    settings = asdict(_settings(annotation, pool=pool))
    trained = load(model, expected=GeST).to(device)
    if dry_run:
        replaceable(out, "annotator.json")
        labels = [of for path in train for of in read_labelled(path, trained, [label])[0].labels if of]
        log.info("%s would learn %d classes of obs['%s'] from %s cells, in at most %d steps on %s",
                 out, len(set(labels)), label, f"{len(labels):,}", settings["steps"], device)  # fmt: skip
        return
    with whole_folder(out, "annotator.json") as folder:  # an occupied one is refused before the training
        annotator = fitted(
            train,
            trained,
            label=label,
            validation=validation,
            training_cells=annotation.get("training_cells"),
            seed=seed,
            **settings,
        )
        annotator.cpu().save(folder)
    told = annotator.metrics
    log.info("%s: %d classes of obs['%s'], learnt from %s cells; macro F1 %.3f on %s held-out ones", out,
             len(annotator.classes), label, f"{told['training_cells']:,}", told["held_out_f1"],
             f"{told['held_out_cells']:,}")  # fmt: skip


@app.command(epilog=examples("gest annotate mine.h5ad --annotator annotator --out annotated.h5ad"))
def annotate(
    adata: OwnSection,
    annotator: Annotated[str, Option(help="Annotator: a folder as `gest fit-annotator` writes it.")],
    out: Annotated[
        Path, Option(help="Section to write (.h5ad): yours, with obs['gest_LABEL'] and obsm['gest_LABEL_prob'].")
    ],
    batch_size: BatchSize = None,
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Label the cells of your own section (section 4.3)."""
    from gest.data.sources.open_file import open_file
    from gest.hub.load import load
    from gest.tasks.annotation.annotate import annotate as annotated
    from gest.tasks.annotation.annotator import Annotator
    from gest.tasks.dry_run import plan

    writable(out, ".h5ad")
    section, tuned = open_file(adata), load(annotator, expected=Annotator).to(device)
    with naming(adata):
        if dry_run:
            log.info("%s would hold obs['gest_%s'] of %s", out, tuned.label, plan(section, tuned.model))
            return
        result = annotated(section, tuned, batch_size=batch_size, seed=seed)
    write_whole(out, result.write_h5ad)
    log.info("%s: obs['gest_%s'] holds the labels of %d cells", out, tuned.label, result.n_obs)


@paper.command()
def learn_labels(
    train: Training,
    method: Annotated[str, Option(help="One of gest.paper.methods.annotation.METHODS.")],
    out: Annotated[Path, Option(help="Folder to write.")],
    n_seeds: Annotated[int, Option(min=1, help="How many seeds to run it with, from 0.")] = 1,
    config: ConfigFile = None,
    model: Annotated[list[Path], Option(help="Model directory, for gest; once for each model.")] = [],  # noqa: B006
    vocabulary: Annotated[Path | None, Option(help="Vocabulary (.npz), for scanvi and celltypist.")] = None,
    validation: Validation = [],  # noqa: B006
    device: Device = "auto",
) -> None:
    """Learn every level of labels by one method, once per model and seed."""
    from gest.hub.load import load
    from gest.model import GeST
    from gest.paper.methods.annotation import fit
    from gest.tasks.annotation.annotator import POOLS
    from gest.vocabulary import Vocabulary

    settings = read_config(config)
    annotation = settings.get("annotation", {})
    fit(
        method,
        train,
        list(settings.get("labels", {})),
        out=out,
        vocabulary=Vocabulary.load(vocabulary) if vocabulary else None,
        models=[load(folder, expected=GeST).to(device) for folder in model],
        validation=validation,
        seeds=range(n_seeds),
        pools=annotation.get("pools", POOLS),
        training_cells=annotation.get("training_cells"),
        settings=_settings(annotation),
    )


@paper.command()
def label(
    section: Section,
    learnt: Annotated[Path, Option(help="Folder, as `gest paper learn-labels` writes it.")],
    out: Annotated[Path, Option(help="Labels to write (.csv); what is known of each run goes to .runs.csv beside it.")],
    device: Device = "auto",
) -> None:
    """Label the cells of a section by all runs of one method."""
    from gest.paper.methods.annotation import label as labelled
    from gest.paper.scores.runs import write_labellings
    from gest.sections import read_section

    made = labelled(learnt, section, device=device)
    write_labellings(made, read_section(section).obs_names, out)
    for one in made:
        log.info(
            "%s, %s, %s, seed %d: %.1f s, %s", one.method, one.variant, one.level, one.seed, one.seconds, one.status
        )
