"""Ablations (section 5): what each training cost, whether it had converged, and which of two variants is better."""

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
_FEWEST_LOOKS = 5  # at the validation sections: of fewer halves tell nothing


def by_variant(paths: Iterable[str | os.PathLike]) -> dict[str, list[Path]]:
    """Sort files, or model directories, by the variant whose folder they lie in, in the order they are given."""
    found: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        found.setdefault(path.parent.name, []).append(path)
    return found


def of_variant(scores: pd.DataFrame, name: str, mode: str) -> pd.DataFrame:
    """Take the scores of one variant out of those of its model.

    Parameters
    ----------
    scores
        With `gest.paper.scores.table.COLUMNS`, of the predictions of one model by the method `gest`.
    name
        The variant's, in the column `variant` of the result.
    mode
        Which prediction counts, `weighted` or `picking`; a model without quantisation has one alone.
    """
    chosen = scores[scores["variant"].isin([mode, "continuous"])]
    return chosen.assign(task="ablation", variant=name)


def read_trainings(models: Mapping[str, Sequence[str | os.PathLike]], *, percent: float) -> pd.DataFrame:
    """Read how models were trained.

    Parameters
    ----------
    models
        Model directories by variant, one per seed.
    percent
        See `converged`.

    Returns
    -------
    pandas.DataFrame
        `TRAININGS`, a row per variant and seed: `hours` on `device`, at the mean pace of the log; `validation_loss` and
        `validation_metacell`, its first level, at the step whose weights were kept; `loss` says what they measure: only
        losses of one kind can be compared.
    """
    return pd.DataFrame(
        [
            {"variant": name} | _training(Path(folder), percent)
            for name, folders in models.items()
            for folder in folders
        ],
        columns=list(TRAININGS),
    )


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
            f"{model_dir}: log.csv cannot be read ({error}); train it anew with `gest pretrain`."
        ) from error


def late_gain(losses: Sequence[float], marginal: float) -> float:
    """Say how much of what a training learnt it learnt in its second half, by its validation loss.

    At the end of any training the loss is flat, for the learning rate falls to zero: a short last part tells nothing.
    If a half gains little, twice the length will gain less.

    Parameters
    ----------
    losses
        Validation losses, at even distances in cells.
    marginal
        The loss of a model that knows the frequencies of the cells alone, where learning begins.

    Returns
    -------
    Percent of marginal − lowest loss; 0 or less where the lowest lies in the first half; NaN where the model does not
    undercut the marginal loss, or where there are too few losses to tell.
    """
    losses = np.asarray(losses, dtype=np.float64)
    if len(losses) < _FEWEST_LOOKS or np.isnan(losses).any() or losses.min() >= marginal:
        return np.nan
    half = len(losses) // 2
    return float(100 * (losses[:half].min() - losses[half:].min()) / (marginal - losses.min()))


def converged(losses: Sequence[float], marginal: float, *, percent: float) -> bool:
    """Whether a training learnt less than `percent` of all in its second half; arguments as of `late_gain`."""
    return late_gain(losses, marginal) < percent  # false of NaN: what cannot be told counts as not converged


def seed_means(scores: pd.DataFrame) -> pd.Series:
    """Mean of each variant, metric, gene set and model seed: seeds of generation first, then crops, then sections."""
    keys = ["variant", "metric", "gene_set", "model_seed"]
    crops = _crop_means(scores).dropna()
    return crops.groupby([*keys, "section"], sort=False).mean().groupby(keys, sort=False).mean()


def orderings(scores: pd.DataFrame, trainings: pd.DataFrame, *, references: Mapping[str, str]) -> pd.DataFrame:
    """Order every variant against another one, where that can be done.

    Both are taken on the crops that both predicted with every seed, lest one look better for failing on a hard crop.
    An ordering is undecided where a training of either had not converged, for more training might reverse it; where
    there are not two seeds of each; and where the ranges of the seeds' means overlap.

    Parameters
    ----------
    scores
        Of all variants, each by `of_variant`.
    trainings
        As `read_trainings` returns them.
    references
        Variants that are ordered, each with the one that it differs from.

    Returns
    -------
    pandas.DataFrame
        `ORDERINGS`: `difference` variant − reference, `ordering` of the variant ("better", "worse", "undecided"), `why`
        it is undecided.
    """
    done = trainings.groupby("variant", sort=False)["converged"].all()
    crops = _crop_means(scores).unstack(["variant", "model_seed"])  # noqa: PD010
    rows = []
    for variant, metric, gene_set in scores[["variant", "metric", "gene_set"]].drop_duplicates().to_numpy():
        reference = references.get(variant)
        if reference not in crops or (metric, gene_set) not in crops.index:
            continue
        shared = crops.loc[(metric, gene_set), [variant, reference]].dropna()
        means = shared.groupby("section").mean().mean()
        own, other = means[variant], means[reference]
        difference = own.mean() - other.mean()
        unfinished = [name for name in (reference, variant) if not done[name]]
        if shared.empty:
            why = "no crop that both predicted"
        elif unfinished:
            why = f"not converged: {', '.join(unfinished)}"
        elif min(len(own), len(other)) < 2:
            why = "one seed"
        elif own.min() <= other.max() and other.min() <= own.max():
            why = "within the spread of the seeds"
        else:
            why = ""
        ordering = BETTER if (difference > 0) == (metric in LARGER_IS_BETTER) else WORSE
        rows.append((variant, metric, gene_set, reference, difference, UNDECIDED if why else ordering, why))
    return pd.DataFrame(rows, columns=list(ORDERINGS))


def _crop_means(scores: pd.DataFrame) -> pd.Series:
    """Mean over seeds of generation of each metric, gene set, section, crop, variant and model seed; NaN if one is."""
    keys = ["metric", "gene_set", "section", "crop", "variant", "model_seed"]
    return scores.groupby(keys, sort=False)["value"].agg(lambda values: values.mean(skipna=False))


def _training(folder: Path, percent: float) -> dict[str, object]:
    """One row of `read_trainings`, without the variant."""
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
        "loss": _loss(folder, config),
        "late_gain_percent": late_gain(log["validation_loss"], metrics["marginal_loss"]),
        "converged": converged(log["validation_loss"], metrics["marginal_loss"], percent=percent),
    }


def _loss(folder: Path, config: dict[str, Any]) -> str:
    """Name what a model's validation loss measures: in other windows, or another order, other things are predicted."""
    order, sharpness = config["serialisation"]["order"], config["serialisation"]["sharpness"]
    predicted = f"{config['window']:g} µm, {order if sharpness == 1 else f'sharpness {sharpness:g}'}"
    if not config["model"]["quantised"]:
        return f"squared error, {predicted}"
    weights = " ".join(f"{weight:g}" for weight in config["loss"]["weights"])
    return f"{len(Vocabulary.load(folder / 'vocabulary.npz'))} meta cells, weights {weights}, {predicted}"
