"""Verbs that learn and generate."""

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import ConfigFile, Out, Seed, VocabularyFile, app, device, log, read_json, write_whole


@app.command()
def vocabulary(
    sections: Annotated[list[Path], Argument(help="Training sections (.h5ad).")],
    out: Out,
    config: ConfigFile = None,
    seed: Seed = 0,
) -> None:
    """Build the vocabulary of meta cells from training sections (Algorithm 1)."""
    from gest.vocabulary import fit_sections

    fitted = fit_sections(sections, read_json(config).get("vocabulary", {}), seed=seed)
    fitted.save(out)
    log.info("%s: %d meta cells of %d genes; sizes %s", out, len(fitted), len(fitted.genes), fitted.sizes.tolist())


@app.command()
def pretrain(
    train: Annotated[list[Path], Argument(help="Training sections (.h5ad).")],
    vocabulary: VocabularyFile,
    out: Annotated[Path, Option(help="Model directory to write.")],
    validation: Annotated[list[Path], Option(help="Held-out section; give the option once for each.")] = [],  # noqa: B006
    config: ConfigFile = None,
    seed: Seed = 0,
    state: Annotated[
        Path | None, Option(help="Folder that a killed run resumes from; beside the model if not given.")
    ] = None,
    processes: Annotated[
        int | None,
        Option(min=1, help="Train in so many processes; else in one for each GPU of the Slurm job, or in one."),
    ] = None,
) -> None:
    """Pre-train a model; stopped or killed, and started again, it goes on where it was.

    Ends with code 75 where SIGTERM or SIGUSR1 stopped it: the same command goes on.
    """
    from gest.distributed import launch
    from gest.pretrain import pretrain as trained
    from gest.vocabulary import Vocabulary

    known, settings = Vocabulary.load(vocabulary), read_json(config)
    launch(processes)
    model = trained(
        train,
        known,
        settings,
        validation=validation,
        state=state,
        seed=seed,
        out=out,
        processes=processes,
    )
    if os.environ.get("RANK", "0") != "0":
        return
    shown = ("kept_step", "loss", "validation_loss", "marginal_loss")
    log.info("%s: %s", out, ", ".join(f"{name} {model.metrics[name]}" for name in shown))


@app.command()
def generate(
    adata: Annotated[Path, Argument(help="Your section (.h5ad): counts in X, coordinates in µm in obsm['spatial'].")],
    model: Annotated[Path, Option(help="Model directory, as `gest pretrain` writes it.")],
    unseen: Annotated[str, Option(help="Boolean column of obs: the cells to generate.")],
    out: Annotated[Path, Option(help="Section to write, with layers['gest'].")],
    mode: Annotated[str, Option(help="weighted (mean over meta cells) or picking (the likeliest).")] = "weighted",
    batch_size: Annotated[int | None, Option(help="Windows run together; changes speed, not results.")] = None,
    seed: Seed = 0,
) -> None:
    """Generate the unseen cells of your own section."""
    from gest.generate import generate as generated
    from gest.model import load
    from gest.sections import open_h5ad

    result = generated(
        open_h5ad(adata), load(model).to(device()), unseen=unseen, mode=mode, batch_size=batch_size, seed=seed
    )
    write_whole(out, result.write_h5ad)
    about = result.uns["gest"]
    log.info("%s: layers['gest'] holds %d generated cells, in %d rounds", out, about["n_unseen"], about["n_rounds"])
