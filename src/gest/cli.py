"""The command line: `gest <verb>`. What the workflow's rules call is what a user calls."""

import inspect
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option, Typer

from gest.errors import UserError

log = logging.getLogger("gest")
app = Typer(
    help="GeST: a generative pre-trained transformer for spatial transcriptomics.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Section = Annotated[Path, Argument(help="Section (.h5ad), as `gest import` writes it.")]
SectionName = Annotated[str, Option(help="Name of the section.")]
DatasetConfig = Annotated[Path, Option(help="JSON of one dataset's keys in config/config.yaml.")]
ConfigFile = Annotated[
    Path | None, Option(help="JSON with keys of config/config.yaml; what is left out has its default.")
]
VocabularyFile = Annotated[Path, Option(help="Vocabulary (.npz), as `gest vocabulary` writes it.")]
Seed = Annotated[int, Option(min=0, help="Seed of all randomness.")]
Out = Annotated[Path, Option(help="What to write.")]


def main() -> None:
    """Run one verb. A user's mistake is one sentence on stderr, and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        app()
    except (UserError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


@app.command()
def simulate(dataset_config: DatasetConfig, section: SectionName, out: Out) -> None:
    """Simulate one section of a dataset of source `simulate`."""
    from gest.sections import write_section
    from gest.sources.simulate import simulate as simulated

    settings = dict(_json(dataset_config).get("simulation", {}))
    described = settings.pop("sections", {})
    if section not in described:
        known = ", ".join(described) or "none"
        raise UserError(f"{dataset_config}: section '{section}' is not among those of 'simulation.sections': {known}.")
    settings |= described[section]
    _check_keys(settings, simulated, dataset_config)
    adata = simulated(section, **settings)
    write_section(adata, out)
    log.info("%s: %d cells, %d genes", out, adata.n_obs, adata.n_vars)


@app.command("import")
def import_section(dataset_config: DatasetConfig, section: SectionName, out: Out) -> None:
    """Read one section of a user's .h5ad and check it."""
    from gest.sections import write_section
    from gest.sources.anndata import read

    settings = _json(dataset_config)
    settings.pop("source", None)
    settings = {"name": section} | settings
    _check_keys(settings, read, dataset_config)
    adata = read(**settings)
    write_section(adata, out)
    log.info("%s: %d cells, %d genes", out, adata.n_obs, adata.n_vars)


@app.command()
def vocabulary(
    sections: Annotated[list[Path], Argument(help="Training sections (.h5ad).")],
    out: Out,
    config: ConfigFile = None,
    seed: Seed = 0,
) -> None:
    """Build the vocabulary of meta cells from training sections (Algorithm 1)."""
    from gest.vocabulary import fit_sections

    fitted = fit_sections(_sections(sections), _json(config).get("vocabulary", {}), seed=seed)
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
) -> None:
    """Pre-train a model; killed and started again it goes on where it was."""
    from gest.pretrain import pretrain as trained
    from gest.vocabulary import Vocabulary

    model = trained(
        _sections(train),
        Vocabulary.load(vocabulary),
        _json(config),
        validation=_sections(validation),
        state=state,
        seed=seed,
        out=out,
    )
    shown = ("kept_step", "loss", "validation_loss", "marginal_loss")
    log.info("%s: %s", out, ", ".join(f"{name} {model.metrics[name]}" for name in shown))


@app.command()
def crops(section: Section, out: Out, config: ConfigFile = None) -> None:
    """Draw the square crops whose cells count as unseen."""
    from gest.crops import draw_crops, write_crops
    from gest.sections import read_section

    adata = read_section(section)
    settings = {"n": 5, "sides": [300, 900], "min_cells": 30} | _json(config).get("generation", {}).get("crops", {})
    settings["name"] = str(adata.obs["section"].iloc[0])
    _check_keys(settings | {"xy": None}, draw_crops, config)
    drawn = draw_crops(adata.obsm["spatial"], **settings)
    _write(out, lambda path: write_crops(drawn, path))
    for crop in drawn:
        cells = crop.contains(adata.obsm["spatial"]).sum()
        log.info("crop %s: %.0f µm at (%.0f, %.0f), %d cells", crop.crop, crop.side, crop.x, crop.y, cells)


@app.command()
def svg(section: Section, vocabulary: VocabularyFile, out: Out, config: ConfigFile = None) -> None:
    """Rank a section's genes by spatial variation."""
    from gest.sections import read_section
    from gest.svg import spatially_variable_genes
    from gest.tokens import expression
    from gest.vocabulary import Vocabulary

    adata, words = read_section(section), Vocabulary.load(vocabulary)
    method = _json(config).get("svg", {}).get("method", "morans_i")
    normalised = expression(adata, words)
    ranking = spatially_variable_genes(normalised, adata.obsm["spatial"], words.genes, method=method)
    _write(out, lambda path: ranking.to_csv(path, index=False))


@app.command()
def predict(
    section: Section,
    method: Annotated[str, Option(help="gest, gest_continued, gp, mlp, mean_of_seen, nearest_seen or true_metacells.")],
    crops: Annotated[Path, Option(help="Crops (.json), as `gest crops` writes them.")],
    out: Out,
    model: Annotated[Path | None, Option(help="Model directory, for the methods of GeST.")] = None,
    vocabulary: Annotated[Path | None, Option(help="Vocabulary (.npz), for all other methods.")] = None,
    config: ConfigFile = None,
    seed: Seed = 0,
) -> None:
    """Predict the unseen cells of a section's crops by one method."""
    from gest.crops import read_crops
    from gest.holdout import predict_crops
    from gest.model import load
    from gest.sections import read_section
    from gest.vocabulary import Vocabulary

    if (model is None) == (vocabulary is None):
        raise UserError("predict: give either --model (methods of GeST) or --vocabulary (all others).")
    trained = load(model).to(_device()) if model else None
    words = trained.vocabulary if trained else Vocabulary.load(vocabulary)
    steps = _json(config).get("generation", {}).get("continued_steps", 200)
    predictions = predict_crops(
        read_section(section),
        read_crops(crops),
        method,
        vocabulary=words,
        model=trained,
        seed=seed,
        continued_steps=steps,
    )
    _write(out, predictions.write_h5ad)


@app.command()
def score(
    predictions: Annotated[Path, Argument(help="Predictions (.h5ad), as `gest predict` writes them.")],
    section: Annotated[Path, Option(help="The section (.h5ad) they are of.")],
    vocabulary: VocabularyFile,
    svg: Annotated[Path, Option(help="Ranking of genes (.csv), as `gest svg` writes it.")],
    run: Annotated[str, Option(help="Name of the run.")],
    dataset: Annotated[str, Option(help="Name of the dataset.")],
    out: Out,
    top: Annotated[int, Option(help="How many spatially variable genes are scored apart.")] = 200,
) -> None:
    """Score predictions of unseen cells against the truth, as rows of the tidy table."""
    import pandas as pd

    from gest.scores import score_predictions, write_scores
    from gest.sections import open_h5ad, read_section
    from gest.tokens import expression, match_genes
    from gest.vocabulary import Vocabulary

    adata, words, predicted = read_section(section), Vocabulary.load(vocabulary), open_h5ad(predictions)
    if list(predicted.var_names) != list(words.genes):
        raise UserError(
            f"{predictions}: the genes are not those of {vocabulary}; score with the vocabulary of the model."
        )
    try:
        ranking = pd.read_csv(svg)
    except (OSError, ValueError) as error:
        raise UserError(f"{svg}: a ranking cannot be read ({error}); make it with `gest svg`.") from error
    found = match_genes(adata, words) >= 0  # a gene that the section lacks has no truth
    truth, ranking = expression(adata, words)[:, found], ranking[ranking["gene"].astype(str).isin(words.genes[found])]
    scores = score_predictions(predicted[:, found], adata, truth, ranking, run=run, dataset=dataset, top=top)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_scores(scores, out)


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
        open_h5ad(adata), load(model).to(_device()), unseen=unseen, mode=mode, batch_size=batch_size, seed=seed
    )
    _write(out, result.write_h5ad)
    about = result.uns["gest"]
    log.info("%s: layers['gest'] holds %d generated cells, in %d rounds", out, about["n_unseen"], about["n_rounds"])


def _json(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}); the workflow writes it from config/*.yaml."
        ) from error


def _check_keys(settings: dict[str, Any], function: Callable[..., Any], path: Path | None) -> None:
    """Refuse keys that a function does not take, and miss those that it needs, before it is called."""
    parameters = inspect.signature(function).parameters
    if unknown := sorted(set(settings) - set(parameters)):
        raise UserError(f"{path}: '{unknown[0]}' is not a key; allowed are {', '.join(parameters)}.")
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if missing := [name for name in needed if name not in settings and name != "name"]:
        raise UserError(f"{path}: the key '{missing[0]}' is missing.")


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _sections(paths: Sequence[Path]) -> list[Any]:
    from gest.sections import read_section

    return [read_section(path) for path in paths]


def _write(out: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name, so that nothing half-written bears the final one."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".partial-{out.name}")
    try:
        write(partial)
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
