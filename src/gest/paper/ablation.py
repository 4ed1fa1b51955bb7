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
_FEWEST_VALIDATIONS = 5  # fewer do not allow a comparison of the halves of a training


def group_by_variant(paths: Iterable[str | os.PathLike]) -> dict[str, list[Path]]:
    """Group files, or model directories, by variant, in the order given.

    The variant is in the name of their folder.
    """
    groups: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        groups.setdefault(path.parent.name, []).append(path)
    return groups


def select_variant(scores: pd.DataFrame, name: str, mode: str) -> pd.DataFrame:
    """Select the scores of one variant from those of its model.

    Parameters
    ----------
    scores
        With `gest.paper.scores.table.COLUMNS`, of the predictions of one model by the method `gest`.
    name
        The variant's, in the column `variant` of the result.
    mode
        The prediction that counts, `weighted` or `picking`; a model without quantisation has only one.
    """
    chosen = scores[scores["variant"].isin([mode, "continuous"])]
    return chosen.assign(task="ablation", variant=name)


def read_trainings(models: Mapping[str, Sequence[str | os.PathLike]], *, percent: float) -> pd.DataFrame:
    """Read cost, loss and convergence of trainings.

    Parameters
    ----------
    models
        Model directories by variant, one per seed.
    percent
        See `converged`.

    Returns
    -------
    pandas.DataFrame
        `TRAININGS`, a row per variant and seed. `hours` are on `device`, at the final mean pace of the log.
        `validation_loss` and `validation_metacell`, its first level, are those of the kept weights. `loss` names the
        kind of loss: only losses of one kind can be compared.
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

    The progress is that of the validation loss. At the end of any training the loss is flat, as the learning rate falls
    to zero, so that a short last part shows nothing. If a half gains little, twice the length will gain less.

    Parameters
    ----------
    losses
        Validation losses, at even distances in cells.
    marginal
        The loss of a model that only knows the frequencies of the cells, where learning begins.

    Returns
    -------
    Percent of marginal − lowest loss; 0 or less if the lowest lies in the first half; NaN if the model does not
    undercut the marginal loss, or if there are too few losses.
    """
    losses = np.asarray(losses, dtype=np.float64)
    if len(losses) < _FEWEST_VALIDATIONS or np.isnan(losses).any() or losses.min() >= marginal:
        return np.nan
    half = len(losses) // 2
    return float(100 * (losses[:half].min() - losses[half:].min()) / (marginal - losses.min()))


def converged(losses: Sequence[float], marginal: float, *, percent: float) -> bool:
    """Return whether less than `percent` of the progress fell in the second half.

    See `late_gain`.
    """
    return late_gain(losses, marginal) < percent  # false for NaN: an unknown gain counts as not converged


def average_seeds(scores: pd.DataFrame) -> pd.Series:
    """Average each variant, metric, gene set and model seed.

    The average is over seeds of generation, then crops, then sections.
    """
    keys = ["variant", "metric", "gene_set", "model_seed"]
    crops = _average_crops(scores).dropna()
    return crops.groupby([*keys, "section"], sort=False).mean().groupby(keys, sort=False).mean()


def order_variants(scores: pd.DataFrame, trainings: pd.DataFrame, *, references: Mapping[str, str]) -> pd.DataFrame:
    """Decide for every variant whether it is better or worse than its reference.

    Both are averaged over the crops that both predicted with every seed, so that none looks better for failing on a
    hard crop. An ordering is undecided if a training of either had not converged, since more training might reverse
    it; if either has fewer than two seeds; or if the ranges of the seeds' means overlap.

    Parameters
    ----------
    scores
        Scores of all variants, each by `select_variant`.
    trainings
        As `read_trainings` returns them.
    references
        Variants to order, each with the one it is compared with.

    Returns
    -------
    pandas.DataFrame
        `ORDERINGS`: `difference` variant − reference, `ordering` of the variant ("better", "worse", "undecided"), `why`
        it is undecided.
    """
    done = trainings.groupby("variant", sort=False)["converged"].all()
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
        elif unfinished := [name for name in (reference, variant) if not done[name]]:
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
    """Average each section, crop, variant and model seed over seeds of generation.

    Metrics and gene sets are averaged separately; the average is NaN if one value is.
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

    Models with other windows, or another order, predict other things.
    """
    order, sharpness = config["serialisation"]["order"], config["serialisation"]["sharpness"]
    order = order if sharpness == 1 else f"sharpness {sharpness:g}"
    predicted = f"{config['window']:g} µm, {order}"
    if not config["model"]["quantised"]:
        return f"squared error, {predicted}"
    weights = " ".join(f"{weight:g}" for weight in config["loss"]["weights"])
    return f"{len(Vocabulary.load(folder / 'vocabulary.npz'))} meta cells, weights {weights}, {predicted}"
