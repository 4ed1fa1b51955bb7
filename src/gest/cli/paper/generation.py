"""Steps of generation: choose the unseen cells of a section, predict them by any method, score the predictions."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

import gest
from gest.baselines import registry
from gest.cli.app import log, steps
from gest.cli.options import ConfigFile, Device, Out, Section, VocabularyFile, read_config, write_whole
from gest.errors import UserError

CROPS = {"n": 5, "sides": [300, 900], "min_cells": 30}


@steps.command()
def crops(section: Section, out: Out, config: ConfigFile = None) -> None:
    """Choose the crops whose cells count as unseen."""
    from gest.paper.methods.crops import make_crops, write_crops
    from gest.sections import read_section

    settings = read_config(config).get("generation", {}).get("crops", {})
    chosen = make_crops(read_section(section), CROPS | settings)
    write_whole(out, lambda path: write_crops(chosen, path))
    for crop in chosen:
        log.info("crop %s: %s, %d cells", crop.crop, crop.shape, len(crop.cells))


@steps.command()
def svg(section: Section, vocabulary: VocabularyFile, out: Out, config: ConfigFile = None) -> None:
    """Rank the genes of a section by spatial variation."""
    from gest.paper.scores.spatial_genes import rank_section
    from gest.sections import read_section
    from gest.vocabulary import Vocabulary

    method = read_config(config).get("svg", {}).get("method", "morans_i")
    adata = read_section(section)
    ranking = rank_section(adata, Vocabulary.load(vocabulary), method=method)
    write_whole(out, lambda path: ranking.to_csv(path, index=False))
    log.info("%s: %d genes in %d cells, %s first (%s)", out, len(ranking), adata.n_obs, ranking["gene"][0], method)


@steps.command()
def predict(
    section: Section,
    method: Annotated[str, Option(help=f"Method: {', '.join(registry.names('generation'))}.")],
    crops: Annotated[Path, Option(help="Crops (.json) from `gest paper crops`.")],
    out: Out,
    model: Annotated[list[Path], Option(help="Model, for methods of GeST; repeat for more models.")] = [],  # noqa: B006
    vocabulary: Annotated[Path | None, Option(help="Vocabulary (.npz), for all other methods.")] = None,
    config: ConfigFile = None,
    device: Device = "auto",
) -> None:
    """Predict the unseen cells of a section by one method."""
    import anndata as ad

    from gest.paper.methods.crops import read_crops
    from gest.paper.methods.generation import predict_crops
    from gest.sections import read_section
    from gest.vocabulary import Vocabulary

    if bool(model) == bool(vocabulary):
        raise UserError("predict: give either --model (for methods of GeST) or --vocabulary (for all others).")
    settings = {"seeds": [0], "continued_steps": 200} | read_config(config).get("generation", {})
    adata, unseen = read_section(section), read_crops(crops)
    seeds = settings["seeds"] if registry.method("generation", method).seeded else [0]
    runs = []
    for folder in model or [None]:
        trained = gest.load(folder, expected=gest.GeST).to(device) if folder else None
        run_vocabulary = trained.vocabulary if trained else Vocabulary.load(vocabulary)
        for seed in seeds:
            run = predict_crops(
                adata,
                unseen,
                method,
                vocabulary=run_vocabulary,
                model=trained,
                seed=seed,
                continued_steps=settings["continued_steps"],
            )
            runs.append(run)
    write_whole(out, ad.concat(runs, uns_merge="same").write_h5ad)


@steps.command()
def score(
    predictions: Annotated[Path, Argument(help="Predictions (.h5ad) from `gest paper predict`.")],
    section: Annotated[Path, Option(help="Section (.h5ad) of the predicted cells.")],
    vocabulary: VocabularyFile,
    svg: Annotated[Path, Option(help="Ranking of genes (.csv) from `gest paper svg`.")],
    run: Annotated[str, Option(help="Name of the run.")],
    dataset: Annotated[str, Option(help="Name of the dataset.")],
    out: Out,
    top: Annotated[int, Option(help="Number of spatially variable genes that are also scored separately.")] = 200,
    genes: Annotated[Path | None, Option(help="Table (.csv) to write with the errors of every gene.")] = None,
) -> None:
    """Score predictions of unseen cells against the truth."""
    import pandas as pd

    from gest.data.tokenize import expression, match_genes
    from gest.paper.scores.generation import score_genes, score_predictions
    from gest.paper.scores.table import write_scores
    from gest.sections import open_h5ad, read_section
    from gest.vocabulary import Vocabulary

    adata, metacells, predicted = read_section(section), Vocabulary.load(vocabulary), open_h5ad(predictions)
    if list(predicted.var_names) != list(metacells.genes):
        raise UserError(
            f"{predictions}: genes differ from those of {vocabulary}; give the vocabulary that the model has."
        )
    try:
        ranking = pd.read_csv(svg)
    except (OSError, ValueError) as error:
        raise UserError(f"{svg}: cannot be read as a ranking ({error}); create one with `gest paper svg`.") from error
    measured = match_genes(adata, metacells) >= 0  # a gene that the section lacks cannot be scored
    predicted, truth = predicted[:, measured], expression(adata, metacells)[:, measured]
    ranking = ranking[ranking["gene"].astype(str).isin(metacells.genes[measured])]
    scores = score_predictions(predicted, adata, truth, ranking, run=run, dataset=dataset, top=top)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_scores(scores, out)
    if genes is not None:
        errors = score_genes(predicted, adata, truth, ranking)
        write_whole(genes, lambda path: errors.to_csv(path, index=False))
