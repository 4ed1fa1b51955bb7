"""Verbs that learn and generate."""

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import (
    BatchSize,
    ConfigFile,
    Device,
    DryRun,
    ModelFolder,
    OwnSection,
    Seed,
    VocabularyFile,
    app,
    examples,
    log,
    read_config,
    writable,
    write_whole,
)
from gest.errors import UserError, naming


@app.command(
    epilog=examples(
        "gest vocabulary sections/s1.h5ad sections/s2.h5ad --out vocabulary.npz",
        "gest vocabulary sections/s1.h5ad --config config/own_data.yaml --out vocabulary.npz",
        "    reads the key `vocabulary`: n_metacells, n_components, hierarchy, n_genes, markers",
    )
)
def vocabulary(
    sections: Annotated[list[Path], Argument(help="Training sections (.h5ad), as `gest prepare` writes them.")],
    out: Annotated[Path, Option(help="Vocabulary to write (.npz).")],
    config: ConfigFile = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Build the vocabulary of meta cells from training sections (Algorithm 1)."""
    from gest.tasks.dry_run import plan_vocabulary
    from gest.training.vocabulary import fit_sections

    settings = read_config(config).get("vocabulary", {})
    writable(out, ".npz")
    if dry_run:
        log.info("%s would hold %s", out, plan_vocabulary(sections, settings))
        return
    fitted = fit_sections(sections, settings, seed=seed)
    fitted.save(out)
    sizes = f"of {fitted.sizes.min()} to {fitted.sizes.max()} cells"
    log.info("%s: %d meta cells %s, %d genes", out, len(fitted), sizes, len(fitted.genes))


@app.command(
    epilog=examples(
        "gest pretrain sections/s1.h5ad --validation sections/s2.h5ad --vocabulary vocabulary.npz --out model",
        "    without --config it is the paper's model, which takes hours on a GPU",
        "gest pretrain sections/s1.h5ad --vocabulary vocabulary.npz --config config/own_data.yaml --out model",
        "    a small one: the keys `window`, `model`, `serialisation`, `loss` and `pretraining` are read",
        "gest pretrain sections/s1.h5ad --vocabulary vocabulary.npz --out model --dry-run",
        "    how many steps, sections, cells and parameters there would be",
    )
)
def pretrain(
    train: Annotated[list[Path], Argument(help="Training sections (.h5ad).")],
    vocabulary: VocabularyFile,
    out: Annotated[Path, Option(help="Model directory to write.")],
    validation: Annotated[list[Path], Option(help="Held-out section; give the option once for each.")] = [],  # noqa: B006
    config: ConfigFile = None,
    seed: Seed = 0,
    state: Annotated[
        Path | None,
        Option(help="Folder that a killed run resumes from, of no use once the model is there; else OUT.state."),
    ] = None,
    processes: Annotated[
        int | None,
        Option(min=1, help="Train in so many processes; else in one for each GPU of the Slurm job, or in one."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Pre-train a model; stopped or killed, and started again, it goes on where it was.

    Ends with code 75 where SIGTERM or SIGUSR1 stopped it: the same command goes on.
    """
    from gest.model import MARKER
    from gest.tasks.dry_run import plan_training
    from gest.training.distributed import launch
    from gest.training.pretrain import pretrain as trained
    from gest.utils.files import replaceable
    from gest.vocabulary import Vocabulary

    known, settings = Vocabulary.load(vocabulary), read_config(config)
    if dry_run:
        replaceable(out, MARKER)
        log.info("%s would hold a model: %s", out, plan_training(train, known, settings, validation=validation))
        return
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
    shown = {name: model.metrics[name] for name in ("kept_step", "loss", "validation_loss", "marginal_loss")}
    told = (f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items())
    log.info("%s: %s", out, ", ".join(told))


@app.command(
    epilog=examples(
        "gest generate mine.h5ad --model model --unseen hidden --out generated.h5ad",
        "    the cells where obs['hidden'] is true, from all others",
        "gest generate mine.h5ad --model model --unseen region=L5 --out generated.h5ad",
        "gest generate mine.h5ad --model model --unseen-circle 1850 3300 150 --out generated.h5ad",
        "    the cells at most 150 µm from x = 1850 µm, y = 3300 µm",
    )
)
def generate(
    adata: OwnSection,
    model: ModelFolder,
    out: Annotated[Path, Option(help="Section to write (.h5ad): yours, with layers['gest'] and obs['gest_round'].")],
    unseen: Annotated[
        str | None,
        Option(help="Cells to generate: a boolean column of obs, or COLUMN=VALUE. Their own counts are never read."),
    ] = None,
    unseen_circle: Annotated[
        tuple[float, float, float] | None, Option(help="Cells to generate, in its place: X Y RADIUS, µm.")
    ] = None,
    mode: Annotated[str, Option(help="weighted (mean over meta cells) or picking (the likeliest).")] = "weighted",
    batch_size: BatchSize = None,
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Generate the unseen cells of your own section from those around them (A.2)."""
    from gest.data.sources.open_file import open_file
    from gest.hub.load import load
    from gest.model import GeST
    from gest.roi import Circle, Label, cells_of
    from gest.tasks.dry_run import plan
    from gest.tasks.generation.generate import check_mode, resolve_unseen
    from gest.tasks.generation.generate import generate as generated

    if (unseen is None) == (unseen_circle is None):
        raise UserError("generate: give either --unseen or --unseen-circle.")
    writable(out, ".h5ad")
    section, trained = open_file(adata), load(model, expected=GeST).to(device)
    check_mode(mode, trained)
    with naming(adata):
        if unseen_circle is not None:
            hidden = cells_of(section, Circle(*unseen_circle))
        elif "=" in unseen and unseen not in section.obs:
            hidden = cells_of(section, Label(*unseen.split("=", 1)))
        else:
            hidden = unseen
        hidden = resolve_unseen(section, hidden)
        if dry_run:
            log.info("%s would hold %d cells, generated from %s", out, hidden.sum(), plan(section[~hidden], trained))
            return
        result = generated(section, trained, unseen=hidden, mode=mode, batch_size=batch_size, seed=seed)
    write_whole(out, result.write_h5ad)
    about = result.uns["gest"]
    log.info("%s: layers['gest'] holds %d generated cells; rounds: %d", out, about["n_unseen"], about["n_rounds"])
