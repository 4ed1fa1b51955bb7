"""Verbs that learn labels from annotated sections and label others with them."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from gest.cli.app import ConfigFile, Section, Seed, app, device, log, read_json, write_whole
from gest.errors import UserError

if TYPE_CHECKING:
    from gest.supervised import Settings

Training = Annotated[list[Path], Argument(help="Training sections (.h5ad) with labels in obs.")]
Validation = Annotated[
    list[Path], Option(help="Section to stop early by, in the place of blocks of the training sections; once for each.")
]

OTHERS = ("pools", "training_cells", "methods", "datasets")  # keys of annotation that are no settings of fine-tuning


def _settings(annotation: dict[str, Any]) -> "Settings":
    """Take the settings of fine-tuning among those of annotation; refuse keys that are not known."""
    from gest.supervised import Settings

    known = [*(field.name for field in fields(Settings) if field.name != "pool"), *OTHERS]
    if unknown := sorted(set(annotation) - set(known)):
        raise UserError(f"config: 'annotation.{unknown[0]}' is not a key; 'annotation' takes {', '.join(known)}.")
    return Settings.of({name: value for name, value in annotation.items() if name not in OTHERS})


@app.command()
def fit_annotator(
    train: Training,
    model: Annotated[Path, Option(help="Model directory to start from, as `gest pretrain` writes it.")],
    label: Annotated[str, Option(help="Column of obs to learn.")],
    out: Annotated[Path, Option(help="Directory of the annotator to write.")],
    pool: Annotated[str, Option(help="mean or max, over the outputs of a niche.")] = "mean",
    validation: Validation = [],  # noqa: B006
    config: ConfigFile = None,
    seed: Seed = 0,
) -> None:
    """Fine-tune a model to annotate cells by their niches (section 3.5)."""
    from gest.annotate import fit_annotator as fitted
    from gest.folders import whole_folder
    from gest.model import load

    annotation = read_json(config).get("annotation", {})
    settings = asdict(_settings(annotation)) | {"pool": pool}
    with whole_folder(out, "annotator.json") as folder:  # an occupied one is refused before the training
        annotator = fitted(
            train,
            load(model).to(device()),
            label=label,
            validation=validation,
            training_cells=annotation.get("training_cells"),
            seed=seed,
            **settings,
        )
        annotator.cpu().save(folder)
    log.info("%s: %d classes; %s", out, len(annotator.classes), annotator.metrics)


@app.command()
def annotate(
    adata: Annotated[Path, Argument(help="Your section (.h5ad): counts in X, coordinates in µm in obsm['spatial'].")],
    annotator: Annotated[Path, Option(help="Directory, as `gest fit-annotator` writes it.")],
    out: Annotated[Path, Option(help="Section to write, with the labels in obs.")],
    batch_size: Annotated[int | None, Option(help="Niches run together; changes speed, not results.")] = None,
    seed: Seed = 0,
) -> None:
    """Label the cells of your own section."""
    from gest.annotate import annotate as annotated
    from gest.annotator import load_annotator
    from gest.sections import open_h5ad

    tuned = load_annotator(annotator).to(device())
    result = annotated(open_h5ad(adata), tuned, batch_size=batch_size, seed=seed)
    write_whole(out, result.write_h5ad)
    log.info("%s: obs['gest_%s'] holds the labels of %d cells", out, tuned.label, result.n_obs)


@app.command()
def learn_labels(
    train: Training,
    method: Annotated[str, Option(help="One of gest.annotation.METHODS.")],
    out: Annotated[Path, Option(help="Folder to write.")],
    n_seeds: Annotated[int, Option(min=1, help="How many seeds to run it with, from 0.")] = 1,
    config: ConfigFile = None,
    model: Annotated[list[Path], Option(help="Model directory, for gest; once for each model.")] = [],  # noqa: B006
    vocabulary: Annotated[Path | None, Option(help="Vocabulary (.npz), for scanvi and celltypist.")] = None,
    validation: Validation = [],  # noqa: B006
) -> None:
    """Learn every level of labels by one method, once per model and seed."""
    from gest.annotation import fit
    from gest.annotator import POOLS
    from gest.model import load
    from gest.vocabulary import Vocabulary

    settings = read_json(config)
    annotation = settings.get("annotation", {})
    fit(
        method,
        train,
        list(settings.get("labels", {})),
        out=out,
        vocabulary=Vocabulary.load(vocabulary) if vocabulary else None,
        models=[load(folder).to(device()) for folder in model],
        validation=validation,
        seeds=range(n_seeds),
        pools=annotation.get("pools", POOLS),
        training_cells=annotation.get("training_cells"),
        settings=_settings(annotation),
    )


@app.command()
def label(
    section: Section,
    learnt: Annotated[Path, Option(help="Folder, as `gest learn-labels` writes it.")],
    out: Annotated[Path, Option(help="Labels to write (.csv); what is known of each run goes to .runs.csv beside it.")],
) -> None:
    """Label the cells of a section by all runs of one method."""
    from gest.annotation import label as labelled
    from gest.labellings import write_labellings
    from gest.sections import read_section

    made = labelled(learnt, section, device=device())
    write_labellings(made, read_section(section).obs_names, out)
    for one in made:
        log.info(
            "%s, %s, %s, seed %d: %.1f s, %s", one.method, one.variant, one.level, one.seed, one.seconds, one.status
        )
