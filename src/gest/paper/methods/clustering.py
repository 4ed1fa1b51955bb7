"""Representing the cells of a section for clustering, by the model and by everything it is compared with (section 4.2).

Every method gets the same: a section without its labels. What it makes is an embedding of every cell, which one
clustering step cuts into groups (`gest.tasks.cluster`), or, where the method clusters by itself, groups.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import scipy.sparse as sp

from gest.baselines import registry
from gest.baselines.packaged import run_isolated
from gest.data.read_for_model import to_model_input
from gest.errors import UserError
from gest.model import GeST
from gest.paper.methods.ligand_receptor import ligand_receptor_pairs
from gest.paper.scores.runs import Labelling, peak_mb
from gest.sections import open_h5ad, values
from gest.tasks.cluster import cluster
from gest.tasks.embed import embed_tokens
from gest.training.pretrain import finetune

MODEL_METHODS = registry.model_names("clustering")
"""Zero-shot, and after continued training on the very section, without its labels ("Ours-FT")."""
PACKAGED = registry.packaged_names("clustering")
METHODS = registry.names("clustering")


class Representation(NamedTuple):
    """What one run of a method made of a section's n cells."""

    variant: str
    model_seed: int | None
    seed: int
    embedding: np.ndarray | None
    """(n, D), NaN in the rows of cells that were left out; None where the method clusters by itself, or failed."""
    groups: Mapping[str, np.ndarray]
    """Level to (n,) groups, −1 where left out; empty unless the method clusters by itself."""
    seconds: float
    peak_mb: float
    version: str
    status: str
    """"ok", or how many cells were left out, or why the method failed."""


def represent(
    section: ad.AnnData,
    method: str,
    *,
    seeds: Sequence[int],
    models: Sequence[GeST] = (),
    levels: Sequence[str] = (),
    windows: Sequence[float] = (),
    continued_steps: int = 2000,
    limits: Mapping[str, int] | None = None,
    organism: str = "mouse",
) -> list[Representation]:
    """Represent every cell of a section by one method, once per seed.

    Parameters
    ----------
    section
        One section with counts in X.
    method
        One of `METHODS`.
    models
        For the methods of GeST: each is run with every seed.
    levels
        Levels of annotation in `obs`. Of the labels only their number is told, to methods that cluster by themselves;
        the control `shuffled` deals them out anew.
    windows
        Sides of the niches of GeST, µm; a variant each.
    continued_steps
        Steps of `gest_continued`.
    limits
        Method to the most cells that it is given. Of a larger section it gets so many, drawn at random.
    organism
        Whose ligands and receptors NicheCompass is told.

    Raises
    ------
    UserError
        An unknown method, or no counts for one that needs them.
    """
    registry.method("clustering", method)
    _check_levels(section, levels)
    if method in MODEL_METHODS:
        return [
            made
            for model in models
            for seed in seeds
            for made in _gest(section, model, windows, seed, continued_steps if method == "gest_continued" else 0)
        ]
    if method in PACKAGED:
        return _packaged(section, method, seeds, levels, (limits or {}).get(method, section.n_obs), organism)
    return [_own(section, method, seed, levels) for seed in seeds]


def groups_of(
    representations: Sequence[Representation],
    section: ad.AnnData,
    method: str,
    *,
    levels: Sequence[str],
    algorithm: str,
) -> list[Labelling]:
    """Cut every representation into as many clusters as the section has labels, at every level.

    Parameters
    ----------
    algorithm
        As `gest.tasks.cluster.cluster` takes it; not used on groups that a method made by itself.

    Returns
    -------
    One labelling per representation and level; of one that could not be cut its `status` says why.
    """
    _check_levels(section, levels)
    made = []
    for one in representations:
        for level in levels:
            groups, status = one.groups.get(level, np.full(section.n_obs, -1)), one.status
            n_clusters = section.obs[level].nunique()
            if not n_clusters:
                status = f"no cell of the section has a label of '{level}'"
            elif one.embedding is not None:
                try:
                    groups = cluster(one.embedding, n_clusters, algorithm=algorithm, seed=one.seed)
                except UserError as error:
                    status = str(error)
            labels = np.where(groups < 0, "", groups.astype(str)).astype(object)
            about = (one.seconds, one.peak_mb, one.version, status)
            made.append(Labelling(method, one.variant, level, one.model_seed, one.seed, labels, *about))
    return made


def _check_levels(section: ad.AnnData, levels: Sequence[str]) -> None:
    if missing := [level for level in levels if level not in section.obs]:
        raise UserError(
            f"clustering: obs of section {section.obs['section'].iloc[0]} has no level '{missing[0]}'; name one that "
            "it has under `labels`."
        )


def _gest(
    section: ad.AnnData, model: GeST, windows: Sequence[float], seed: int, continued_steps: int
) -> list[Representation]:
    started = time.perf_counter()
    tokens = to_model_input(section, model)
    model_seed, about_us = model.metrics.get("seed", 0), f"gest {version('gest')}"
    try:
        own = finetune([tokens], model, steps=continued_steps, seed=seed) if continued_steps else model
    except (UserError, FloatingPointError) as error:  # one run's failure must not take the others' rows away
        failed = (None, {}, np.nan, np.nan, about_us, str(error))
        return [Representation(f"{window:g}", model_seed, seed, *failed) for window in windows]
    prepared = time.perf_counter() - started
    made = []
    for window in windows:
        started = time.perf_counter()
        embedding = embed_tokens(own, tokens, window=window, seed=seed)
        seconds = prepared + time.perf_counter() - started
        about = (f"{window:g}", model_seed, seed)
        made.append(Representation(*about, embedding, {}, seconds, peak_mb(), about_us, "ok"))
    return made


def _packaged(
    section: ad.AnnData, method: str, seeds: Sequence[int], levels: Sequence[str], limit: int, organism: str
) -> list[Representation]:
    if section.uns["gest"]["x"] != "counts":
        raise UserError(f"{method}: it needs counts, and X of the section is normalised; leave the method out.")
    n, kept, status = section.n_obs, np.arange(section.n_obs), "ok"
    if n > limit:
        kept = np.sort(np.random.default_rng(0).choice(n, limit, replace=False))
        status = f"sub-sampled to {limit} of {n} cells"
    counts = sp.csr_matrix(values(section[kept], method))
    arrays = {
        **{"data": counts.data, "indices": counts.indices, "indptr": counts.indptr, "seeds": np.array(seeds)},
        **{"genes": section.var_names.to_numpy().astype(str), "xy": section.obsm["spatial"][kept]},
    }
    if method == "spagcn":
        levels = [level for level in levels if section.obs[level].notna().any()]
        arrays["n_clusters"] = np.array([section.obs[level].nunique() for level in levels])
    try:
        if method == "nichecompass":
            arrays["ligands"], arrays["receptors"] = ligand_receptor_pairs(organism, section.var_names)
        made = run_isolated(method, **arrays)
    except UserError as error:  # one method's failure must not take the others' rows away
        failed = (None, {}, np.nan, np.nan, "", f"{error} It was given {len(kept)} cells.")
        return [Representation("default", None, seed, *failed) for seed in seeds]

    def whole(rows: np.ndarray, missing: float) -> np.ndarray:
        filled = np.full((n, *rows.shape[1:]), missing, dtype=rows.dtype)
        filled[kept] = rows
        return filled

    representations = []
    for i, seed in enumerate(seeds):
        embedding = whole(made["embedding"][i], np.nan) if "embedding" in made else None
        groups = {level: whole(made["labels"][i, j], -1) for j, level in enumerate(levels)} if "labels" in made else {}
        about = (float(made["seconds"][i]), float(made["peak_mb"]), str(made["version"]), status)
        representations.append(Representation("default", None, seed, embedding, groups, *about))
    return representations


def _own(section: ad.AnnData, method: str, seed: int, levels: Sequence[str]) -> Representation:
    """Make the rows that no package stands behind: raw expression, coordinates alone, shuffled labels."""
    started, embedding, groups = time.perf_counter(), None, {}
    if method == "raw":
        own = ad.AnnData(values(section, method).copy())
        if section.uns["gest"]["x"] == "counts":
            sc.pp.normalize_total(own)
            sc.pp.log1p(own)
        sc.pp.pca(own, n_comps=min(50, *(size - 1 for size in own.shape)), random_state=seed)
        embedding = own.obsm["X_pca"].astype(np.float32)
    elif method == "coordinates":
        xy = np.asarray(section.obsm["spatial"])
        embedding = ((xy - xy.mean(0)) / xy.std()).astype(np.float32)
    else:
        rng = np.random.default_rng(seed)
        for level in levels:
            groups[level] = pd.Categorical(section.obs[level]).codes.astype(np.int64)
            labelled = groups[level] >= 0
            groups[level][labelled] = rng.permutation(groups[level][labelled])
    about = (time.perf_counter() - started, peak_mb(), f"gest {version('gest')}", "ok")
    return Representation("default", None, seed, embedding, groups, *about)


def write_representations(
    representations: Sequence[Representation], section: ad.AnnData, path: str | os.PathLike
) -> None:
    """Write representations as .h5ad: `obsm["0"]`, … or columns "0 level" of `obs`; `uns` says of what."""
    file = ad.AnnData(obs=pd.DataFrame(index=section.obs_names))
    runs = []
    for i, one in enumerate(representations):
        if one.embedding is not None:
            file.obsm[str(i)] = one.embedding
        for level, groups in one.groups.items():
            file.obs[f"{i} {level}"] = groups
        runs.append(one._replace(embedding=None, groups={level: f"{i} {level}" for level in one.groups})._asdict())
    file.uns["representations"] = json.dumps(runs)
    file.write_h5ad(path)


def read_representations(path: str | os.PathLike, section: ad.AnnData) -> list[Representation]:
    """Read what `write_representations` wrote of this very section; raise UserError if it is of other cells."""
    file = open_h5ad(path)
    if not file.obs_names.equals(section.obs_names):
        raise UserError(
            f"{path} holds {file.n_obs} cells, which are not the {section.n_obs} of the section; represent this one "
            "anew."
        )
    runs: list[dict[str, Any]] = json.loads(file.uns["representations"])
    return [
        Representation(**run)._replace(
            embedding=file.obsm.get(str(i)),
            groups={level: file.obs[column].to_numpy() for level, column in run["groups"].items()},
        )
        for i, run in enumerate(runs)
    ]
