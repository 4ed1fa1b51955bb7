"""Predict the unseen cells of a section's crops by GeST and by the methods it is compared with (section 4.1).

Every method gets the positions of all cells and the expression of the seen cells, except `true_metacells`, the upper
bound. Baselines that need no pre-trained model are in `gest.baselines`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from tqdm import tqdm

from gest.baselines import registry
from gest.data.tokenize import expression
from gest.errors import UserError
from gest.model import GeST
from gest.paper.methods.crops import Crop
from gest.tasks.generation.rounds import aggregate, generate_tokens, tokenize_seen
from gest.training.pretrain import finetune
from gest.vocabulary import Vocabulary
from gest.windows import Tokens

VARIANTS = ("weighted", "picking", "codebook")
"""Variants of the GeST methods, for a model with quantisation."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A section of n cells, as input of the generation methods."""

    xy: np.ndarray
    """(n, 2) positions in µm."""
    expression: sp.csr_matrix
    """(n, T) normalised expression of the vocabulary's genes."""
    tokens: np.ndarray
    """(n,) meta cell of each cell."""
    vocabulary: Vocabulary


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted expression of m unseen cells."""

    layers: dict[str, np.ndarray]
    """Maps each variant to its expression, (m, T)."""
    rounds: np.ndarray | int = 0
    """(m,) round in which GeST generated each cell, from 1; 0 for other methods."""


def predict_crops(
    section: ad.AnnData,
    crops: Sequence[Crop],
    method: str,
    *,
    vocabulary: Vocabulary,
    model: GeST | None = None,
    seed: int = 0,
    continued_steps: int = 200,
) -> ad.AnnData:
    """Predict each crop's cells from all other cells of the section.

    Parameters
    ----------
    section
        One section; its expression is normalised as in the vocabulary.
    method
        Name of a generation method in the registry. `gest` is zero-shot. `gest_continued` continues the generative
        training on the seen cells, on which the baselines are trained too (not in the paper's section 4.1).
        `true_metacells` reads the hidden cells: it is an upper bound for methods that predict meta cells.
    model
        Model of the GeST methods; required by these.

    Returns
    -------
    One row per unseen cell and crop. `obs` holds `crop`, `cell`, `model_seed`, `seed`, `round` (in which GeST generated
    the cell, from 1; 0 for other methods) and `failed` (empty, or why the crop could not be predicted; its values are
    then NaN). `layers` holds one prediction (rows, T) per variant: `default` for a method without a model; `weighted`,
    `picking` (section 3.4) and `codebook` (weighted, with the meta cells' expression re-estimated on the seen cells)
    for a model with quantisation; `continuous` for a model without it.

    Raises
    ------
    UserError
        The method is unknown, or it needs a model and none is given.
    """
    entry = registry.method("generation", method)
    if entry.needs_model and model is None:
        raise UserError(f"predict: method '{method}' needs a model directory; give one with --model.")
    normalised = expression(section, vocabulary)
    cells = Cells(
        xy=np.asarray(section.obsm["spatial"], dtype=np.float64),
        expression=normalised,
        tokens=vocabulary.tokenize(normalised),
        vocabulary=vocabulary,
    )
    model_seed = model.metrics.get("seed", 0) if model is not None else 0
    parts = []
    for crop in tqdm(crops, unit="crop", desc=method):
        unseen, failed = crop.unseen(section), ""
        try:
            prediction = _predict(entry, cells, unseen, model=model, seed=seed, continued_steps=continued_steps)
        except (UserError, ArithmeticError, np.linalg.LinAlgError, torch.linalg.LinAlgError) as error:
            failed = str(error)  # the other crops must still be scored
            missing = np.full((unseen.sum(), len(vocabulary.genes)), np.nan)
            prediction = Prediction(layers=dict.fromkeys(_variants(entry, model), missing))
        obs = pd.DataFrame({"crop": crop.crop, "cell": section.obs_names[unseen].astype(str)})
        obs = obs.assign(model_seed=model_seed, seed=seed, round=prediction.rounds, failed=failed)
        parts.append(_to_anndata(prediction, obs, genes=vocabulary.genes, method=method))
    return ad.concat(parts, uns_merge="same")


def _to_anndata(prediction: Prediction, obs: pd.DataFrame, *, genes: np.ndarray, method: str) -> ad.AnnData:
    """Return the predictions of one crop as AnnData.

    Row names combine model seed, seed, crop and cell, so they are unique over all runs of a method.
    """
    runs = obs["model_seed"].astype(str) + "/" + obs["seed"].astype(str)
    obs.index = (runs + "/" + obs["crop"] + "/" + obs["cell"]).to_numpy()
    layers = {variant: np.asarray(layer, dtype=np.float32) for variant, layer in prediction.layers.items()}
    return ad.AnnData(obs=obs, var=pd.DataFrame(index=genes), layers=layers, uns={"gest": {"method": method}})


def _predict(
    method: registry.Method,
    cells: Cells,
    unseen: np.ndarray,
    *,
    model: GeST | None,
    seed: int,
    continued_steps: int,
) -> Prediction:
    """Predict the unseen cells of one crop, given as (n,) booleans."""
    seen = ~unseen
    if method.function:
        baseline = registry.load_function(method)
        layer = baseline(cells.xy[seen], cells.expression[seen].toarray(), cells.xy[unseen], seed=seed)
        return Prediction(layers={"default": layer})
    if method.name == "true_metacells":
        return Prediction(layers={"default": cells.vocabulary.expression[cells.tokens[unseen]]})
    if method.name == "gest_continued":
        rows = None if model.quantised else cells.expression[seen]
        model = finetune([Tokens(cells.xy[seen], cells.tokens[seen], rows)], model, steps=continued_steps, seed=seed)
    return _predict_by_model(model, cells, unseen, seed=seed)


def _predict_by_model(model: GeST, cells: Cells, unseen: np.ndarray, *, seed: int) -> Prediction:
    """Generate the unseen cells by a model.

    With quantisation, the probabilities of meta cells are turned into expression in three ways, the variants.
    """
    seen_expression = cells.expression[~unseen]
    tokens = tokenize_seen(model, seen_expression, unseen)
    generated = generate_tokens(model, cells.xy, tokens, seed=seed)
    if not model.quantised:
        return Prediction(layers={"continuous": generated.means}, rounds=generated.rounds)
    vocabulary = model.vocabulary
    reestimated = vocabulary.reestimate(seen_expression, tokens[~unseen])
    layers = {
        "weighted": aggregate(generated.means, vocabulary.expression, "weighted"),
        "picking": aggregate(generated.means, vocabulary.expression, "picking"),
        "codebook": aggregate(generated.means, reestimated, "weighted"),
    }
    return Prediction(layers=layers, rounds=generated.rounds)


def _variants(method: registry.Method, model: GeST | None) -> tuple[str, ...]:
    """Return the variants of a method's predictions."""
    if not method.needs_model:
        return ("default",)
    return VARIANTS if model.quantised else ("continuous",)
