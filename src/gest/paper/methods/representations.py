"""Hold the representations of a section's cells by the runs of one method, and read and write them as .h5ad."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
import pandas as pd

from gest.errors import UserError
from gest.paper.scores.runs import MethodRun
from gest.sections import open_h5ad


@dataclass(frozen=True, kw_only=True, eq=False)
class Representation(MethodRun):
    """One run of a method and its representation of a section's n cells."""

    embedding: np.ndarray | None = None
    """(n, D), NaN in the rows of cells that were left out; None if the method clusters by itself or failed."""
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Maps each level to (n,) groups, −1 for cells without a group; empty unless the method clusters by itself."""


def write_representations(
    representations: Sequence[Representation], section: ad.AnnData, path: str | os.PathLike
) -> None:
    """Write the representations of one method as .h5ad.

    The embedding of run i is `obsm["i"]`, its groups are the columns "i level" of `obs`; `uns["representations"]` is a
    JSON list of the runs. The file does not name the method, as its own name does.
    """
    file = ad.AnnData(obs=pd.DataFrame(index=section.obs_names))
    runs = []
    for i, run in enumerate(representations):
        if run.embedding is not None:
            file.obsm[str(i)] = run.embedding
        for level, groups in run.groups.items():
            file.obs[f"{i} {level}"] = groups
        runs.append(
            {
                "variant": run.variant,
                "model_seed": run.model_seed,
                "seed": run.seed,
                "embedding": None,
                "groups": {level: f"{i} {level}" for level in run.groups},
                "seconds": run.seconds,
                "peak_mb": run.peak_mb,
                "version": run.version,
                "status": run.status,
            }
        )
    file.uns["representations"] = json.dumps(runs)
    file.write_h5ad(path)


def read_representations(path: str | os.PathLike, section: ad.AnnData, method: str) -> list[Representation]:
    """Read the representations by one method that `write_representations` wrote.

    Raises
    ------
    UserError
        The file cannot be read, or its cells are not those of the section.
    """
    file = open_h5ad(path)
    if not file.obs_names.equals(section.obs_names):
        raise UserError(
            f"{path}: its {file.n_obs} cells are not the {section.n_obs} cells of the section; run "
            "`gest paper represent` on this section."
        )
    representations = []
    for i, record in enumerate(json.loads(file.uns["representations"])):
        groups = {level: file.obs[column].to_numpy() for level, column in record.pop("groups").items()}
        record["embedding"] = file.obsm.get(str(i))
        representations.append(Representation(method=method, groups=groups, **record))
    return representations
