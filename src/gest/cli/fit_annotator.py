"""`gest fit-annotator`: fine-tune a model to label cells."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

import gest
from gest.cli.app import app, format_examples, log
from gest.cli.options import ConfigFile, Device, DryRun, ModelFolder, Seed, read_config

if TYPE_CHECKING:
    from gest.tasks.annotation.fine_tuning import Settings

LabelledSections = Annotated[list[Path], Argument(help="Training sections (.h5ad) with labels in obs.")]
Validation = Annotated[
    list[Path], Option(help="Held-out section (.h5ad), repeatable; default: blocks of the training sections.")
]

# Keys of `annotation` in a configuration that are not settings of fine-tuning.
OTHER_KEYS = ("pools", "training_cells", "methods", "datasets")


@app.command(
    epilog=format_examples(
        "gest fit-annotator sections/s1.h5ad sections/s2.h5ad --model model --label region --out annotator",
        "gest annotate mine.h5ad --annotator annotator --out annotated.h5ad",
    )
)
def fit_annotator(
    train: LabelledSections,
    model: ModelFolder,
    label: Annotated[str, Option(help="Column of obs with the labels to learn.")],
    out: Annotated[Path, Option(help="Folder of the annotator to write.")],
    pool: Annotated[str, Option(help="How the outputs of a niche are pooled: mean or max.")] = "mean",
    validation: Validation = [],  # noqa: B006
    config: ConfigFile = None,
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Fine-tune a model to label cells by their niches."""
    from gest.tasks.annotation.labels import read_labelled
    from gest.utils.files import replaceable, whole_folder

    annotation = read_config(config).get("annotation", {})
    settings = asdict(read_annotation_settings(annotation, pool=pool))
    trained = gest.load(model, expected=gest.GeST).to(device)
    if dry_run:
        replaceable(out, "annotator.json")
        labels: list[str] = []
        for path in train:
            cells = read_labelled(path, trained, [label])[0]
            labels += [name for name in cells.labels if name]
        log.info("%s would learn %d classes of obs['%s'] from %s cells, in at most %d steps on %s",
                 out, len(set(labels)), label, f"{len(labels):,}", settings["steps"], device)  # fmt: skip
        return
    with whole_folder(out, "annotator.json") as folder:  # an --out that cannot be written fails before the training
        annotator = gest.fit_annotator(
            train,
            trained,
            label=label,
            validation=validation,
            training_cells=annotation.get("training_cells"),
            seed=seed,
            **settings,
        )
        annotator.cpu().save(folder)
    metrics = annotator.metrics
    log.info("%s: %d classes of obs['%s'], learnt from %s cells; macro F1 %.3f on %s held-out cells",
             out, len(annotator.classes), label, f"{metrics['training_cells']:,}", metrics["held_out_f1"],
             f"{metrics['held_out_cells']:,}")  # fmt: skip


def read_annotation_settings(annotation: dict[str, Any], **options: Any) -> "Settings":
    """Return the settings of fine-tuning from a configuration and from options.

    `annotation` is the configuration's section of this name; `options` override it.
    """
    from gest.tasks.annotation.fine_tuning import Settings
    from gest.utils.settings import read_settings, refuse_unknown

    names = [field.name for field in fields(Settings) if field.name != "pool"]
    refuse_unknown(annotation, [*names, *OTHER_KEYS], "annotation")
    settings = {name: annotation[name] for name in names if name in annotation}
    return read_settings(Settings, settings | options, "annotation")
