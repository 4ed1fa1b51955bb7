"""Verbs that embed niches, cluster them and score labels."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import (
    BatchSize,
    ConfigFile,
    Device,
    DryRun,
    ModelFolder,
    Out,
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

Models = Annotated[list[Path], Option(help="Model directory, for the methods of GeST; once for each model.")]
Method = Annotated[str, Option(help="One of gest.paper.methods.clustering.METHODS.")]


@app.command(
    epilog=examples(
        "gest embed mine.h5ad --model model --out niches.h5ad",
        "    then in scanpy: sc.pp.neighbors(adata, use_rep='X_gest')",
        "gest embed mine.h5ad --model model --window 200 --out niches.h5ad",
        "    the niche is what lies within 100 µm, in x and in y",
    )
)
def embed(
    adata: OwnSection,
    model: ModelFolder,
    out: Annotated[Path, Option(help="Section to write (.h5ad): yours, with obsm['X_gest'].")],
    window: Annotated[
        float | None, Option(help="Side of the square around a cell, µm: at most that of training, the default.")
    ] = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Embed the niche of every cell of your own section, without training on it (section 3.5)."""
    from gest.data.sources.open_file import open_file
    from gest.hub.load import load
    from gest.model import GeST
    from gest.tasks.dry_run import plan
    from gest.tasks.embed import embed as embedded

    writable(out, ".h5ad")
    section, trained = open_file(adata), load(model, expected=GeST).to(device)
    with naming(adata):
        if dry_run:
            log.info("%s would hold the niches of %s", out, plan(section, trained, window=window))
            return
        result = embedded(section, trained, window=window, batch_size=batch_size, seed=seed)
    write_whole(out, result.write_h5ad)
    log.info("%s: obsm['X_gest'] holds the niches of %d cells, %d numbers each", out, *result.obsm["X_gest"].shape)


@paper.command()
def represent(
    section: Section,
    method: Method,
    out: Out,
    n_seeds: Annotated[int, Option(min=1, help="How many seeds to run it with, from 0.")] = 1,
    config: ConfigFile = None,
    model: Models = [],  # noqa: B006
    device: Device = "auto",
) -> None:
    """Represent every cell of a section by one method, once per model and seed."""
    from gest.hub.load import load
    from gest.model import GeST
    from gest.paper.methods.clustering import represent as represented
    from gest.paper.methods.clustering import write_representations
    from gest.sections import read_section

    settings = read_config(config)
    adata, models = read_section(section), [load(folder, expected=GeST).to(device) for folder in model]
    made = represented(
        adata,
        method,
        seeds=range(n_seeds),
        models=models,
        levels=list(settings.get("labels", {})),
        **{"windows": [one.config.window for one in models[:1]]} | settings.get("clustering", {}),
    )
    write_whole(out, lambda path: write_representations(made, adata, path))
    for one in made:
        log.info("%s, %s, seed %d: %.1f s, %s", method, one.variant, one.seed, one.seconds, one.status)


@paper.command()
def group(
    representations: Annotated[Path, Argument(help="Representations (.h5ad), as `gest paper represent` writes them.")],
    section: Annotated[Path, Option(help="The section (.h5ad) they are of.")],
    method: Method,
    out: Annotated[Path, Option(help="Labels to write (.csv); what is known of each run goes to .runs.csv beside it.")],
    config: ConfigFile = None,
) -> None:
    """Cut representations into as many groups as the section has labels, at every level."""
    from gest.paper.methods.clustering import groups_of, read_representations
    from gest.paper.scores.runs import write_labellings
    from gest.sections import read_section

    settings = read_config(config)
    adata = read_section(section)
    made = groups_of(
        read_representations(representations, adata),
        adata,
        method,
        levels=list(settings.get("labels", {})),
        algorithm=settings.get("clustering", {}).get("algorithm", "leiden"),
    )
    write_labellings(made, adata.obs_names, out)


@paper.command()
def score_labels(
    section: Section,
    labels: Annotated[list[Path], Option(help="Labels (.csv) by one method; give the option once for each.")],
    task: Annotated[str, Option(help="clustering or annotation.")],
    run: Annotated[str, Option(help="Name of the run.")],
    dataset: Annotated[str, Option(help="Name of the dataset.")],
    out: Out,
) -> None:
    """Score the labels that methods gave a section's cells, as rows of the tidy table."""
    from gest.paper.scores.labels import score_labellings
    from gest.paper.scores.runs import read_labellings
    from gest.paper.scores.table import write_scores
    from gest.sections import read_section

    adata = read_section(section)
    by_method = {path.name.removesuffix(".csv"): read_labellings(path, adata.obs_names)[0] for path in labels}
    levels = list(dict.fromkeys(one.level for given in by_method.values() for one in given))
    scores = score_labellings(adata, by_method, task=task, run=run, dataset=dataset, levels=levels)
    write_whole(out, lambda path: write_scores(scores, path))
