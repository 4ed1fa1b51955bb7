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

from gest.baselines import METHODS as BASELINES
from gest.crops import Crop
from gest.errors import UserError
from gest.generate import aggregate, generate_tokens
from gest.model import GeST
from gest.pretrain import finetune
from gest.tokens import expression
from gest.vocabulary import Vocabulary
from gest.windows import Tokens

VARIANTS = ("weighted", "picking", "codebook")
"""Of the methods of GeST."""
SEEDED = ("gest", "gest_continued", "gp", "mlp")
"""Methods whose predictions depend on the seed."""
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
    One row per unseen cell and crop: `obs` holds `crop`, `cell`, `model_seed`, `seed` and `failed` (empty, or why its
    crop could not be predicted and is NaN); `layers` one prediction (rows, T) per variant: `default`, or for GeST
    `weighted`, `picking` (section 3.4) and `codebook`: weighted, with the meta cells' expression re-estimated on the
    cells seen.

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

    def predict(unseen: np.ndarray) -> dict[str, np.ndarray]:
        seen = ~unseen
        if method in BASELINES:
            return {"default": BASELINES[method](xy[seen], normalised[seen].toarray(), xy[unseen], seed=seed)}
        if method == "true_metacells":
            return {"default": vocabulary.expression[tokens[unseen]]}
        own = model
        if method == "gest_continued":
            own = finetune([Tokens(xy[seen], tokens[seen])], model, steps=continued_steps, seed=seed)
        return _gest(own, xy, np.where(unseen, -1, tokens), normalised[seen], seed=seed)

    model_seed = model.metrics.get("seed", 0) if model is not None else 0
    parts = []
    for crop in tqdm(crops, unit="crop", desc=method):
        unseen, failed = crop.unseen(section), ""
        try:
            layers = predict(unseen)
        except (UserError, ArithmeticError, np.linalg.LinAlgError, torch.linalg.LinAlgError) as error:
            failed = str(error)  # one crop's failure must not take the others' scores away
            nothing = np.full((unseen.sum(), len(vocabulary.genes)), np.nan)
            layers = dict.fromkeys(VARIANTS if method.startswith("gest") else ("default",), nothing)
        obs = pd.DataFrame(
            {
                "crop": crop.crop,
                "cell": section.obs_names[unseen].astype(str),
                "model_seed": model_seed,
                "seed": seed,
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


def _gest(model: GeST, xy: np.ndarray, tokens: np.ndarray, known: sp.csr_matrix, *, seed: int) -> dict[str, np.ndarray]:
    """Generate the cells whose token is −1, and turn the probabilities into expression in three ways."""
    probabilities = generate_tokens(model, xy, tokens, seed=seed).probabilities
    vocabulary = model.vocabulary
    own = vocabulary.reestimate(known, tokens[tokens >= 0])
    weighted, picking = (aggregate(probabilities, vocabulary.expression, mode) for mode in ("weighted", "picking"))
    return dict(zip(VARIANTS, (weighted, picking, aggregate(probabilities, own, "weighted")), strict=True))
