"""Evaluate ablations (section 5): cost and convergence of each training, and which of two variants is better."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gest.errors import UserError
from gest.vocabulary import Vocabulary

TRAININGS = (
    *("variant", "model_seed", "layers", "heads", "width", "window", "parameters", "training_cells", "steps"),
    *("target_cells", "cells_per_second", "hours", "device", "kept_step", "validation_loss", "validation_metacell"),
    *("loss", "late_gain_percent", "converged"),
)
ORDERINGS = ("variant", "metric", "gene_set", "reference", "difference", "ordering", "why")
BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
LARGER_IS_BETTER = ("spearman", "spearman_z")
_FEWEST_VALIDATIONS = 5  # fewer are too few to compare the two halves of a training


def group_by_variant(paths: Iterable[str | os.PathLike]) -> dict[str, list[Path]]:
    """Group files or model directories by variant, in the given order.

    The name of the parent folder is the variant.
    """
    groups: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        groups.setdefault(path.parent.name, []).append(path)
    return groups


def select_variant(scores: pd.DataFrame, name: str, mode: str) -> pd.DataFrame:
    """Select the scores of one prediction, and name them after the variant.

    Parameters
    ----------
    scores
        Scores of one model's predictions by the method `gest`, with `gest.paper.scores.table.COLUMNS`.
    name
        Name of the variant, for the column `variant` of the result.
    mode
        Prediction to select, `weighted` or `picking`; a model without quantisation has only `continuous`.
    """
    chosen = scores[scores["variant"].isin([mode, "continuous"])]
    return chosen.assign(task="ablation", variant=name)


def read_trainings(models: Mapping[str, Sequence[str | os.PathLike]], *, percent: float) -> pd.DataFrame:
    """Read the cost, loss and convergence of trainings.

    Parameters
    ----------
    models
        Model directories by variant, one per seed.
    percent
        See `converged`.

    Returns
    -------
    pandas.DataFrame
        `TRAININGS`, a row per variant and seed. `hours` is the time for all target cells on `device`, at the mean pace
        in the last row of the log. `validation_loss`, and its first level `validation_metacell`, are those of the kept
        weights. `loss` names the kind of loss; only losses of the same kind can be compared.
    """
    rows = []
    for variant, folders in models.items():
        rows += [{"variant": variant} | _read_training(Path(folder), percent) for folder in folders]
    return pd.DataFrame(rows, columns=list(TRAININGS))


def read_log(model_dir: str | os.PathLike) -> pd.DataFrame:
    """Read a model's `log.csv`.

    Raises
    ------
    UserError
        It is missing or cannot be read.
    """
    try:
        return pd.read_csv(Path(model_dir) / "log.csv")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{model_dir}: log.csv cannot be read ({error}). Train the model again with `gest pretrain`."
        ) from error


def late_gain(losses: Sequence[float], marginal: float) -> float:
    """Return the percentage of a training's progress that fell in its second half.

    Progress is the fall of the validation loss. The learning rate falls to zero, so the loss is flat at the end of any
    training, and a short last part shows nothing. If the second half gains little, doubling the length gains less.

    Parameters
    ----------
    losses
        Validation losses, evenly spaced in target cells.
    marginal
        Loss of predicting the training frequencies of the meta cells, or the mean, everywhere; progress counts from it.

    Returns
    -------
    Percent of marginal − lowest loss; 0 or less if the lowest loss lies in the first half; NaN if no loss is below
    `marginal`, if a loss is NaN, or if there are fewer than five.
    """
    losses = np.asarray(losses, dtype=np.float64)
    if len(losses) < _FEWEST_VALIDATIONS or np.isnan(losses).any() or losses.min() >= marginal:
        return np.nan
    half = len(losses) // 2
    return float(100 * (losses[:half].min() - losses[half:].min()) / (marginal - losses.min()))


def converged(losses: Sequence[float], marginal: float, *, percent: float) -> bool:
    """Return whether `late_gain` is below `percent`; false if it is unknown (NaN)."""
    return late_gain(losses, marginal) < percent  # false for NaN


def average_seeds(scores: pd.DataFrame) -> pd.Series:
    """Average the scores of each variant, metric, gene set and model seed.

    The average is over generation seeds, then crops, then sections. Crops without a score for every seed are left out.
    """
    keys = ["variant", "metric", "gene_set", "model_seed"]
    crops = _average_crops(scores).dropna()
    return crops.groupby([*keys, "section"], sort=False).mean().groupby(keys, sort=False).mean()


def order_variants(scores: pd.DataFrame, trainings: pd.DataFrame, *, references: Mapping[str, str]) -> pd.DataFrame:
    """Decide for every variant whether it is better or worse than its reference.

    Both are averaged over the crops that both predicted with every seed, so that failing on a hard crop does not make a
    variant look better. An ordering is undecided if there is no such crop, if a training of either had not converged
    (more training might reverse the order), if either has fewer than two seeds, or if the ranges of their seeds' means
    overlap.

    Parameters
    ----------
    scores
        Scores of all variants, each by `select_variant`.
    trainings
        As `read_trainings` returns them.
    references
        For each variant to order, the variant that it is compared with.

    Returns
    -------
    pandas.DataFrame
        `ORDERINGS`: `difference` is variant − reference, `ordering` is that of the variant ("better", "worse",
        "undecided"), and `why` says why it is undecided.
    """
    all_converged = trainings.groupby("variant", sort=False)["converged"].all()
    crops = _average_crops(scores).unstack(["variant", "model_seed"])  # noqa: PD010
    rows = []
    for variant, metric, gene_set in scores[["variant", "metric", "gene_set"]].drop_duplicates().to_numpy():
        reference = references.get(variant)
        if reference not in crops or (metric, gene_set) not in crops.index:
            continue
        shared = crops.loc[(metric, gene_set), [variant, reference]].dropna()
        means = shared.groupby("section").mean().mean()
        difference = means[variant].mean() - means[reference].mean()
        if shared.empty:
            why = "no crop that both predicted"
        elif unfinished := [name for name in (reference, variant) if not all_converged[name]]:
            why = f"not converged: {', '.join(unfinished)}"
        else:
            why = _explain_undecided(means[variant], means[reference])
        better = (difference > 0) == (metric in LARGER_IS_BETTER)
        ordering = UNDECIDED if why else BETTER if better else WORSE
        rows.append(
            {
                "variant": variant,
                "metric": metric,
                "gene_set": gene_set,
                "reference": reference,
                "difference": difference,
                "ordering": ordering,
                "why": why,
            }
        )
    return pd.DataFrame(rows, columns=list(ORDERINGS))


def _explain_undecided(means: pd.Series, reference: pd.Series) -> str:
    """Return why the means of the seeds allow no ordering; empty if they do."""
    if min(len(means), len(reference)) < 2:
        return "one seed"
    overlap = means.min() <= reference.max() and reference.min() <= means.max()
    return "within the spread of the seeds" if overlap else ""


def _average_crops(scores: pd.DataFrame) -> pd.Series:
    """Average over generation seeds: a value per metric, gene set, crop and model.

    The average is NaN if one of its values is.
    """
    keys = ["metric", "gene_set", "section", "crop", "variant", "model_seed"]
    return scores.groupby(keys, sort=False)["value"].agg(lambda values: values.mean(skipna=False))


def _read_training(folder: Path, percent: float) -> dict[str, object]:
    """Return one row of `read_trainings`, without the variant."""
    metrics, config = (json.loads((folder / f"{name}.json").read_text()) for name in ("metrics", "config"))
    log = read_log(folder)
    pace = log["cells_per_second"].iloc[-1]
    kept = log[log["step"] == metrics["kept_step"]].iloc[0]
    return {
        "model_seed": metrics["seed"],
        **{name: config["model"][name] for name in ("layers", "heads", "width")},
        "window": config["window"],
        **{name: metrics[name] for name in ("parameters", "training_cells", "steps", "device", "kept_step")},
        "target_cells": metrics["target_cells_seen"],
        "cells_per_second": pace,
        "hours": metrics["target_cells_seen"] / pace / 3600,
        "validation_loss": kept["validation_loss"],
        "validation_metacell": kept["validation_metacell"],
        "loss": _name_loss(folder, config),
        "late_gain_percent": late_gain(log["validation_loss"], metrics["marginal_loss"]),
        "converged": converged(log["validation_loss"], metrics["marginal_loss"], percent=percent),
    }


def _name_loss(folder: Path, config: dict[str, Any]) -> str:
    """Name the kind of a model's validation loss.

    The name lists the settings that change what is predicted or how it is weighted.
    """
    order, sharpness = config["serialisation"]["order"], config["serialisation"]["sharpness"]
    order = order if sharpness == 1 else f"sharpness {sharpness:g}"
    predicted = f"{config['window']:g} µm, {order}"
    if not config["model"]["quantised"]:
        return f"squared error, {predicted}"
    weights = " ".join(f"{weight:g}" for weight in config["loss"]["weights"])
    return f"{len(Vocabulary.load(folder / 'vocabulary.npz'))} meta cells, weights {weights}, {predicted}"
