"""Represent the cells of a section by a packaged clustering method, in its isolated environment."""

from collections.abc import Sequence
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp

from gest.baselines.packaged import run_packaged
from gest.baselines.registry import Method
from gest.errors import UserError
from gest.paper.methods.ligand_receptor import ligand_receptor_pairs
from gest.paper.methods.representations import Representation
from gest.sections import read_matrix


def represent_packaged(
    section: ad.AnnData, method: Method, *, seeds: Sequence[int], levels: Sequence[str], limit: int, organism: str
) -> list[Representation]:
    """Represent every cell by a packaged method, all seeds in one process.

    Parameters
    ----------
    limit
        Largest number of cells to give the method; a larger section is sub-sampled at random.
    levels, organism
        As in `gest.paper.methods.clustering.represent`.

    Returns
    -------
    One representation per seed; if the method fails, the `status` of each says why.

    Raises
    ------
    UserError
        The section has no counts.
    """
    if section.uns["gest"]["x"] != "counts":
        raise UserError(f"{method.name}: needs counts, but X of the section is normalised; leave the method out.")
    kept, status = np.arange(section.n_obs), "ok"
    if section.n_obs > limit:
        kept = np.sort(np.random.default_rng(0).choice(section.n_obs, limit, replace=False))
        status = f"sub-sampled to {limit} of {section.n_obs} cells"
    labelled_levels = [level for level in levels if section.obs[level].notna().any()]
    inputs = _inputs(section, kept, method, seeds=seeds, levels=labelled_levels)
    try:
        if "ligands" in method.inputs:
            inputs["ligands"], inputs["receptors"] = ligand_receptor_pairs(organism, section.var_names)
        output = run_packaged(method.name, **inputs)
    except UserError as error:  # the other methods must still be scored
        failure = f"{str(error).removesuffix('.')}; it was given {len(kept)} cells."
        return [Representation(method=method.name, seed=seed, status=failure) for seed in seeds]

    representations = []
    for i, seed in enumerate(seeds):
        embedding, groups = None, {}
        if "embedding" in output:
            embedding = _fill_rows(output["embedding"][i], kept, section.n_obs, np.nan)
        if "labels" in output:
            for j, level in enumerate(labelled_levels):
                groups[level] = _fill_rows(output["labels"][i, j], kept, section.n_obs, -1)
        representations.append(
            Representation(
                method=method.name,
                seed=seed,
                embedding=embedding,
                groups=groups,
                seconds=float(output["seconds"][i]),
                peak_mb=float(output["peak_mb"]),
                version=str(output["version"]),
                status=status,
            )
        )
    return representations


def _inputs(
    section: ad.AnnData, kept: np.ndarray, method: Method, *, seeds: Sequence[int], levels: Sequence[str]
) -> dict[str, Any]:
    """Return the input arrays of a clustering script, for the kept cells."""
    counts = sp.csr_matrix(read_matrix(section[kept], method.name))
    inputs = {
        "data": counts.data,
        "indices": counts.indices,
        "indptr": counts.indptr,
        "seeds": np.array(seeds),
        "genes": section.var_names.to_numpy().astype(str),
        "xy": section.obsm["spatial"][kept],
    }
    if "n_clusters" in method.inputs:
        inputs["n_clusters"] = np.array([section.obs[level].nunique() for level in levels])
    return inputs


def _fill_rows(rows: np.ndarray, kept: np.ndarray, n: int, missing: float) -> np.ndarray:
    """Put the rows of the kept cells into n rows; fill the others with `missing`."""
    filled = np.full((n, *rows.shape[1:]), missing, dtype=rows.dtype)
    filled[kept] = rows
    return filled
