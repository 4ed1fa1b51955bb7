"""Select gene programmes for NicheCompass: ligand–receptor pairs whose genes are both in a panel."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gest.data.sources.simulate import KINDS
from gest.errors import UserError

ORGANISMS = ("human", "mouse", "simulated")


def ligand_receptor_pairs(organism: str, genes: Iterable[str]) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the known ligand–receptor pairs whose genes are both in a panel.

    Parameters
    ----------
    organism
        "human" or "mouse": the literature-supported pairs of connectomeDB2020 (Hou et al. 2020; see
        `ligand_receptor_pairs/README.md`). "simulated": pairs of genes from `gest.data.sources.simulate`.
    genes
        Gene symbols of the panel, as written for this organism.

    Returns
    -------
    tuple
        (p,) ligands and (p,) their receptors, p > 0, in alphabetical order.

    Raises
    ------
    UserError
        The organism is unknown, or the panel holds no pair.
    """
    if organism not in ORGANISMS:
        raise UserError(f"clustering.organism: unknown value '{organism}' (choose human, mouse or simulated).")
    panel = set(genes)
    if organism == "simulated":
        pairs = simulated_pairs(max((int(gene[5:]) for gene in panel if re.fullmatch(r"gene_\d+", gene)), default=0))
    else:
        pairs = pd.read_csv(Path(__file__).parent / "ligand_receptor_pairs" / f"{organism}.csv", comment="#")
    pairs = pairs[pairs.isin(panel).all(axis=1)].sort_values(["ligand", "receptor"])
    if pairs.empty:
        raise UserError(
            f"nichecompass: the panel's {len(panel)} genes ({', '.join(sorted(panel)[:2])}, …) hold no ligand–receptor "
            f"pair of {organism} (expected gene symbols); correct clustering.organism, or leave the method out."
        )
    return pairs["ligand"].to_numpy().astype(str), pairs["receptor"].to_numpy().astype(str)


def simulated_pairs(n_genes: int) -> pd.DataFrame:
    """Pair simulated markers of cell types with genes that respond to neighbours.

    The markers are the ligands, the responding genes the receptors. The cell type that a gene responds to is not known
    here, so each receptor is paired with all markers since the previous receptor.
    """
    pairs, markers = [], []
    for i, kind in enumerate(np.resize(KINDS, n_genes)):
        if kind == "marker":
            markers.append(f"gene_{i + 1}")
        elif kind == "neighbour":
            pairs += [(marker, f"gene_{i + 1}") for marker in markers]
            markers = []
    return pd.DataFrame(pairs, columns=["ligand", "receptor"], dtype=str)
