"""Verbs that hide cells of a section, predict them and score what was predicted."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import ConfigFile, Device, Out, Section, VocabularyFile, log, paper, read_config, write_whole
from gest.errors import UserError


@paper.command()
def crops(section: Section, out: Out, config: ConfigFile = None) -> None:
    """Choose the crops whose cells count as unseen."""
    from gest.paper.methods.crops import make_crops, write_crops
    from gest.sections import read_section

    settings = {"n": 5, "sides": [300, 900], "min_cells": 30} | read_config(config).get("generation", {}).get(
        "crops", {}
    )
    made = make_crops(read_section(section), settings)
    write_whole(out, lambda path: write_crops(made, path))
    for crop in made:
        log.info("crop %s: %s, %d cells", crop.crop, crop.shape, len(crop.cells))


@paper.command()
def svg(section: Section, vocabulary: VocabularyFile, out: Out, config: ConfigFile = None) -> None:
    """Rank a section's genes by spatial variation."""
    from gest.paper.scores.spatial_genes import rank_section
    from gest.sections import read_section
    from gest.vocabulary import Vocabulary

    method = read_config(config).get("svg", {}).get("method", "morans_i")
    adata = read_section(section)
    ranking = rank_section(adata, Vocabulary.load(vocabulary), method=method)
    write_whole(out, lambda path: ranking.to_csv(path, index=False))
    log.info("%s: %d genes in %d cells, %s first (%s)", out, len(ranking), adata.n_obs, ranking["gene"][0], method)


@paper.command()
def predict(
    section: Section,
    method: Annotated[str, Option(help="gest, gest_continued, gp, mlp, mean_of_seen, nearest_seen or true_metacells.")],
    crops: Annotated[Path, Option(help="Crops (.json), as `gest paper crops` writes them.")],
    out: Out,
    model: Annotated[list[Path], Option(help="Model directory, for the methods of GeST; once for each model.")] = [],  # noqa: B006
    vocabulary: Annotated[Path | None, Option(help="Vocabulary (.npz), for all other methods.")] = None,
    config: ConfigFile = None,
    device: Device = "auto",
) -> None:
    """Predict the unseen cells of a section's crops by one method, once per model and seed."""
    import anndata as ad

    from gest.hub.load import load
    from gest.model import GeST
    from gest.paper.methods.crops import read_crops
    from gest.paper.methods.generation import SEEDED, predict_crops
    from gest.sections import read_section
    from gest.vocabulary import Vocabulary

    if bool(model) == bool(vocabulary):
        raise UserError("predict: give either --model (methods of GeST) or --vocabulary (all others).")
    settings = {"seeds": [0], "continued_steps": 200} | read_config(config).get("generation", {})
    adata, squares = read_section(section), read_crops(crops)
    runs = []
    for folder in model or [None]:
        trained = load(folder, expected=GeST).to(device) if folder else None
        words = trained.vocabulary if trained else Vocabulary.load(vocabulary)
        runs += [
            predict_crops(
                adata,
                squares,
                method,
                vocabulary=words,
                model=trained,
                seed=seed,
                continued_steps=settings["continued_steps"],
            )
            for seed in (settings["seeds"] if method in SEEDED else [0])
        ]
    write_whole(out, ad.concat(runs, uns_merge="same").write_h5ad)


@paper.command()
def score(
    predictions: Annotated[Path, Argument(help="Predictions (.h5ad), as `gest paper predict` writes them.")],
    section: Annotated[Path, Option(help="The section (.h5ad) they are of.")],
    vocabulary: VocabularyFile,
    svg: Annotated[Path, Option(help="Ranking of genes (.csv), as `gest paper svg` writes it.")],
    run: Annotated[str, Option(help="Name of the run.")],
    dataset: Annotated[str, Option(help="Name of the dataset.")],
    out: Out,
    top: Annotated[int, Option(help="How many spatially variable genes are scored apart.")] = 200,
    genes: Annotated[Path | None, Option(help="Table of every gene's errors to write besides.")] = None,
) -> None:
    """Score predictions of unseen cells against the truth, as rows of the tidy table."""
    import pandas as pd

    from gest.data.tokenize import expression, match_genes
    from gest.paper.scores.generation import score_genes, score_predictions
    from gest.paper.scores.table import write_scores
    from gest.sections import open_h5ad, read_section
    from gest.vocabulary import Vocabulary

    adata, words, predicted = read_section(section), Vocabulary.load(vocabulary), open_h5ad(predictions)
    if list(predicted.var_names) != list(words.genes):
        raise UserError(
            f"{predictions}: the genes are not those of {vocabulary}; score with the vocabulary of the model."
        )
    try:
        ranking = pd.read_csv(svg)
    except (OSError, ValueError) as error:
        raise UserError(f"{svg}: a ranking cannot be read ({error}); make it with `gest paper svg`.") from error
    found = match_genes(adata, words) >= 0  # a gene that the section lacks has no truth
    truth, ranking = expression(adata, words)[:, found], ranking[ranking["gene"].astype(str).isin(words.genes[found])]
    scores = score_predictions(predicted[:, found], adata, truth, ranking, run=run, dataset=dataset, top=top)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_scores(scores, out)
    if genes is not None:
        errors = score_genes(predicted[:, found], adata, truth, ranking)
        write_whole(genes, lambda path: errors.to_csv(path, index=False))
