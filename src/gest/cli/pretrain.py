"""`gest pretrain`: pre-train a model."""

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

import gest
from gest.cli.app import app, format_examples, log
from gest.cli.options import ConfigFile, DryRun, Seed, VocabularyFile, read_config


@app.command(
    epilog=format_examples(
        "gest pretrain sections/s1.h5ad --validation sections/s2.h5ad --vocabulary vocabulary.npz --out model",
        "    without --config this is the paper's model, which takes hours on a GPU",
        "gest pretrain sections/s1.h5ad --vocabulary vocabulary.npz --config config/own_data.yaml --out model",
        "    a small model; reads the keys `window`, `model`, `serialisation`, `loss` and `pretraining`",
        "gest pretrain sections/s1.h5ad --vocabulary vocabulary.npz --out model --dry-run",
        "    reports the number of steps, sections, cells and parameters",
    )
)
def pretrain(
    train: Annotated[list[Path], Argument(help="Training sections (.h5ad).")],
    vocabulary: VocabularyFile,
    out: Annotated[Path, Option(help="Folder of the model to write.")],
    validation: Annotated[list[Path], Option(help="Held-out section (.h5ad); repeat for more sections.")] = [],  # noqa: B006
    config: ConfigFile = None,
    seed: Seed = 0,
    state: Annotated[
        Path | None, Option(help="Folder for the checkpoints that a stopped run resumes from; default: OUT.state.")
    ] = None,
    processes: Annotated[
        int | None, Option(min=1, help="Number of processes; default: one per GPU of the Slurm job, else one.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Pre-train a model; the same command resumes a stopped run.

    Exit code 75 means that SIGTERM or SIGUSR1 stopped it: run the same command again.
    """
    from gest.model import MARKER
    from gest.tasks.dry_run import plan_training
    from gest.training.launch import launch
    from gest.utils.files import replaceable

    metacells, settings = gest.Vocabulary.load(vocabulary), read_config(config)
    if dry_run:
        replaceable(out, MARKER)
        log.info("%s would hold a model: %s", out, plan_training(train, metacells, settings, validation=validation))
        return
    launch(processes)
    model = gest.pretrain(
        train, metacells, settings, validation=validation, state=state, seed=seed, out=out, processes=processes
    )
    if os.environ.get("RANK", "0") != "0":
        return
    names = ("kept_step", "loss", "validation_loss", "marginal_loss")
    values = [(name, model.metrics[name]) for name in names]
    shown = [f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in values]
    log.info("%s: %s", out, ", ".join(shown))
