"""Represent the cells of a section by the clustering methods, and cluster the representations (section 4.2).

`represent` gives each method the same section and returns an embedding of every cell, or groups of cells if the method
clusters by itself. Apart from their number, only the control `shuffled` uses the labels. `cut_representations` clusters
all embeddings by the same algorithm.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import anndata as ad
import numpy as np

from gest.baselines import registry
from gest.data.read_for_model import to_model_input
from gest.errors import UserError
from gest.model import GeST
from gest.paper.methods.clustering_packaged import represent_packaged
from gest.paper.methods.representations import Representation
from gest.paper.scores.runs import Labelling, gest_version, peak_memory_mb, run_fields
from gest.tasks.cluster import cluster
from gest.tasks.embed import embed_tokens
from gest.training.pretrain import finetune


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
        One section; packaged methods need counts in `X`.
    method
        Name of a clustering method in the registry. `gest_continued` continues the training on this section, without
        its labels (the paper's "Ours-FT").
    models
        For the GeST methods: each model is run with every seed.
    levels
        Levels of labels in `obs`. Methods that cluster by themselves are given the number of labels at each level; the
        control `shuffled` permutes the labels.
    windows
        Window sizes of GeST's niches in µm; each is one variant.
    continued_steps
        Number of training steps of `gest_continued`.
    limits
        Maps packaged methods to their largest number of cells; larger sections are sub-sampled at random.
    organism
        Organism whose ligand–receptor pairs NicheCompass uses.

    Raises
    ------
    UserError
        The method is unknown, `obs` lacks a level, or a packaged method needs counts and `X` has none.
    """
    entry = registry.method("clustering", method)
    _check_levels(section, levels)
    if entry.needs_model:
        steps = continued_steps if method == "gest_continued" else 0
        representations = []
        for model in models:
            for seed in seeds:
                representations += _represent_by_model(
                    section, model, method=method, windows=windows, seed=seed, continued_steps=steps
                )
        return representations
    if entry.environment:
        limit = (limits or {}).get(method, section.n_obs)
        return represent_packaged(section, entry, seeds=seeds, levels=levels, limit=limit, organism=organism)
    return [_represent_by_function(section, entry, seed=seed, levels=levels) for seed in seeds]


def cut_representations(
    representations: Sequence[Representation],
    section: ad.AnnData,
    *,
    levels: Sequence[str],
    algorithm: str,
) -> list[Labelling]:
    """Cluster every representation at each level, into as many clusters as labels.

    Parameters
    ----------
    algorithm
        Algorithm of `gest.tasks.cluster.cluster`; not used for methods that cluster by themselves.

    Returns
    -------
    One labelling per representation and level; if clustering failed, its `status` says why.
    """
    _check_levels(section, levels)
    return [_cut(run, section, level, algorithm) for run in representations for level in levels]


def _cut(representation: Representation, section: ad.AnnData, level: str, algorithm: str) -> Labelling:
    """Cluster one representation at one level of labels."""
    groups = representation.groups.get(level, np.full(section.n_obs, -1))
    status = representation.status
    n_clusters = section.obs[level].nunique()
    if not n_clusters:
        status = f"no cell of the section has a label of '{level}'"
    elif representation.embedding is not None:
        try:
            groups = cluster(representation.embedding, n_clusters, algorithm=algorithm, seed=representation.seed)
        except UserError as error:
            status = str(error)
    labels = np.where(groups < 0, "", groups.astype(str)).astype(object)
    return Labelling(**run_fields(representation) | {"level": level, "status": status}, labels=labels)


def _check_levels(section: ad.AnnData, levels: Sequence[str]) -> None:
    """Raise UserError if obs lacks a level."""
    if missing := [level for level in levels if level not in section.obs]:
        raise UserError(
            f"clustering: obs of section {section.obs['section'].iloc[0]} has no level '{missing[0]}'; name one of its "
            "columns under `labels`."
        )


def _represent_by_model(
    section: ad.AnnData, model: GeST, *, method: str, windows: Sequence[float], seed: int, continued_steps: int
) -> list[Representation]:
    """Embed niches by a model, one representation per window size.

    With `continued_steps`, the model is first trained further on the section.
    """
    started = time.perf_counter()
    tokens = to_model_input(section, model)
    run = Representation(method=method, model_seed=model.metrics.get("seed", 0), seed=seed, version=gest_version())
    try:
        tuned = finetune([tokens], model, steps=continued_steps, seed=seed) if continued_steps else model
    except (UserError, FloatingPointError) as error:  # the other runs must still be scored
        return [replace(run, variant=f"{window:g}", status=str(error)) for window in windows]
    prepared = time.perf_counter() - started
    representations = []
    for window in windows:
        started = time.perf_counter()
        embedding = embed_tokens(tuned, tokens, window=window, seed=seed)
        seconds = prepared + time.perf_counter() - started
        representations.append(
            replace(run, variant=f"{window:g}", embedding=embedding, seconds=seconds, peak_mb=peak_memory_mb())
        )
    return representations


def _represent_by_function(
    section: ad.AnnData, method: registry.Method, *, seed: int, levels: Sequence[str]
) -> Representation:
    """Represent the cells by a function of `gest.baselines.representations`."""
    started = time.perf_counter()
    represent_section = registry.load_function(method)
    embedding_or_groups = represent_section(section, seed=seed, levels=levels)
    key = "groups" if isinstance(embedding_or_groups, Mapping) else "embedding"
    return Representation(
        method=method.name,
        seed=seed,
        seconds=time.perf_counter() - started,
        peak_mb=peak_memory_mb(),
        version=gest_version(),
        **{key: embedding_or_groups},
    )
