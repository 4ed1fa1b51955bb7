"""Predicting the unseen cells of a section's crops, by the model and by everything it is compared with.

Every method gets the same: a section, its crops, and the seen cells' expression. The methods that need no pre-trained
model stand in `gest.baselines`.
"""

from collections.abc import Mapping, Sequence

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from tqdm import tqdm

from gest.baselines import METHODS as BASELINES
from gest.crops import Crop
from gest.errors import UserError
from gest.generate import aggregate, generate_tokens
from gest.model import GeST
from gest.pretrain import finetune
from gest.tokens import expression
from gest.vocabulary import Vocabulary
from gest.windows import Tokens

METHODS = ("gest", "gest_continued", *BASELINES, "true_metacells")
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
    One row per unseen cell and crop: `obs["crop"]`, `obs["cell"]`, and in `layers` one prediction (rows, T) per
    variant: `default`, or for GeST `weighted`, `picking` (section 3.4) and `codebook`: weighted, with the meta cells'
    expression re-estimated on the cells seen.

    Raises
    ------
    UserError
        An unknown method, or one of GeST's without a model.
    """
    if method not in METHODS:
        raise UserError(f"predict: the method is '{method}', and must be one of {', '.join(METHODS)}.")
    if method.startswith("gest") and model is None:
        raise UserError(f"predict: the method '{method}' needs a model directory; give one with --model.")
    xy = np.asarray(section.obsm["spatial"], dtype=np.float64)
    normalised = expression(section, vocabulary)
    tokens = vocabulary.tokenize(normalised)
    parts = []
    for crop in tqdm(crops, unit="crop", desc=method):
        unseen = crop.contains(xy)
        seen = ~unseen
        if method in BASELINES:
            known = normalised[seen].toarray()
            layers = {"default": BASELINES[method](xy[seen], known, xy[unseen], seed=seed)}
        elif method == "true_metacells":
            layers = {"default": vocabulary.expression[tokens[unseen]]}
        else:
            own = model
            if method == "gest_continued":
                own = finetune([Tokens(xy[seen], tokens[seen])], model, steps=continued_steps, seed=seed)
            layers = _gest(own, xy, np.where(unseen, -1, tokens), normalised[seen], seed=seed)
        obs = pd.DataFrame({"crop": crop.crop, "cell": section.obs_names[unseen].astype(str)})
        obs.index = obs["crop"] + "/" + obs["cell"]
        layers = {variant: np.asarray(values, dtype=np.float32) for variant, values in layers.items()}
        parts.append(ad.AnnData(obs=obs, var=pd.DataFrame(index=vocabulary.genes), layers=layers))
    predictions = ad.concat(parts)
    model_seed = model.metrics.get("seed", 0) if model is not None else 0
    predictions.uns["gest"] = {"method": method, "seed": seed, "model_seed": model_seed}
    return predictions


def _gest(
    model: GeST, xy: np.ndarray, tokens: np.ndarray, known: sp.csr_matrix, *, seed: int
) -> Mapping[str, np.ndarray]:
    """Generate the cells whose token is −1, and turn the probabilities into expression in three ways."""
    probabilities = generate_tokens(model, xy, tokens, seed=seed).probabilities
    vocabulary = model.vocabulary
    own = vocabulary.reestimate(known, tokens[tokens >= 0])
    return {
        "weighted": aggregate(probabilities, vocabulary.expression, "weighted"),
        "picking": aggregate(probabilities, vocabulary.expression, "picking"),
        "codebook": aggregate(probabilities, own, "weighted"),
    }
