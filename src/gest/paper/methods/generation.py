"""Predicting the unseen cells of a section's crops, by the model and by everything it is compared with.

Every method gets the same: a section, its crops, and the seen cells' expression. The methods that need no pre-trained
model stand in `gest.baselines`.
"""

from collections.abc import Sequence

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
from gest.tasks.generation.rounds import aggregate, generate_tokens, seen_tokens
from gest.training.pretrain import finetune
from gest.vocabulary import Vocabulary
from gest.windows import Tokens

VARIANTS = ("weighted", "picking", "codebook")
"""Of the methods of GeST."""
SEEDED = tuple(method.name for method in registry.methods("generation") if method.seeded)
"""Methods whose predictions depend on the seed."""
METHODS = registry.names("generation")
"""`true_metacells` looks at the answer: no method that predicts meta cells can do better."""


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
        One section; its expression is normalised as the vocabulary's was.
    method
        One of `METHODS`. `gest` is zero-shot; `gest_continued` first continues the generative training on the cells
        seen (not in the paper's section 4.1; the counterpart of baselines, which are trained on them).
    model
        For the methods of GeST.

    Returns
    -------
    One row per unseen cell and crop: `obs` holds `crop`, `cell`, `model_seed`, `seed`, `round` (in which GeST generated
    it, from 1; else 0) and `failed` (empty, or why its crop could not be predicted and is NaN); `layers` one prediction
    (rows, T) per variant: `default`, or for GeST `weighted`, `picking` (section 3.4) and `codebook`: weighted, with the
    meta cells' expression re-estimated on the cells seen; or `continuous` of a model without quantisation.

    Raises
    ------
    UserError
        An unknown method, or one of GeST's without a model.
    """
    entry = registry.method("generation", method)
    if entry.needs_model and model is None:
        raise UserError(f"predict: the method '{method}' needs a model directory; give one with --model.")
    xy = np.asarray(section.obsm["spatial"], dtype=np.float64)
    normalised = expression(section, vocabulary)
    tokens = vocabulary.tokenize(normalised)

    def predict(unseen: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray | int]:
        seen = ~unseen
        if entry.function:
            baseline = registry.load_function(entry)
            return {"default": baseline(xy[seen], normalised[seen].toarray(), xy[unseen], seed=seed)}, 0
        if method == "true_metacells":
            return {"default": vocabulary.expression[tokens[unseen]]}, 0
        own = model
        if method == "gest_continued":
            known = Tokens(xy[seen], tokens[seen], None if model.quantised else normalised[seen])
            own = finetune([known], model, steps=continued_steps, seed=seed)
        return _gest(own, xy, normalised[seen], unseen, seed=seed)

    model_seed = model.metrics.get("seed", 0) if model is not None else 0
    parts = []
    for crop in tqdm(crops, unit="crop", desc=method):
        unseen, failed = crop.unseen(section), ""
        try:
            layers, rounds = predict(unseen)
        except (UserError, ArithmeticError, np.linalg.LinAlgError, torch.linalg.LinAlgError) as error:
            failed = str(error)  # one crop's failure must not take the others' scores away
            nothing = np.full((unseen.sum(), len(vocabulary.genes)), np.nan)
            layers, rounds = dict.fromkeys(_variants(method, model), nothing), 0
        obs = pd.DataFrame(
            {
                "crop": crop.crop,
                "cell": section.obs_names[unseen].astype(str),
                "model_seed": model_seed,
                "seed": seed,
                "round": rounds,
                "failed": failed,
            }
        )
        obs.index = (f"{model_seed}/{seed}/{crop.crop}/" + obs["cell"]).to_numpy()
        layers = {variant: np.asarray(values, dtype=np.float32) for variant, values in layers.items()}
        parts.append(
            ad.AnnData(
                obs=obs, var=pd.DataFrame(index=vocabulary.genes), layers=layers, uns={"gest": {"method": method}}
            )
        )
    return ad.concat(parts, uns_merge="same")


def _variants(method: str, model: GeST | None) -> tuple[str, ...]:
    if not method.startswith("gest"):
        return ("default",)
    return VARIANTS if model.quantised else ("continuous",)


def _gest(
    model: GeST, xy: np.ndarray, known: sp.csr_matrix, unseen: np.ndarray, *, seed: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Generate the unseen cells, and turn the probabilities into expression in three ways; also each cell's round."""
    tokens = seen_tokens(model, known, unseen)
    made = generate_tokens(model, xy, tokens, seed=seed)
    if not model.quantised:
        return {"continuous": made.means}, made.rounds
    vocabulary = model.vocabulary
    own = vocabulary.reestimate(known, tokens[~unseen])
    weighted, picking = (aggregate(made.means, vocabulary.expression, mode) for mode in ("weighted", "picking"))
    variants = (weighted, picking, aggregate(made.means, own, "weighted"))
    return dict(zip(VARIANTS, variants, strict=True)), made.rounds
