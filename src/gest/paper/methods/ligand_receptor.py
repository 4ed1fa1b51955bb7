"""Gene programmes for NicheCompass: pairs of a ligand and its receptor that a panel has both of."""

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
    """Return the known pairs of which a panel has both genes.

    Parameters
    ----------
    organism
        "human" or "mouse": the literature's pairs of connectomeDB2020 (Hou et al. 2020), of which
        `ligand_receptor_pairs/README.md` says how they came here. "simulated": see `gest.data.sources.simulate`.
    genes
        Symbols of the panel, spelt as the organism's are.

    Returns
    -------
    tuple
        (p,) ligands and (p,) their receptors, p > 0, in alphabetical order of both.

    Raises
    ------
    UserError
        If the organism is unknown, or the panel has no pair.
    """
    if organism not in ORGANISMS:
        raise UserError(f"clustering.organism is '{organism}': set it to one of {', '.join(ORGANISMS)}.")
    panel = set(genes)
    if organism == "simulated":
        pairs = simulated_pairs(max((int(gene[5:]) for gene in panel if re.fullmatch(r"gene_\d+", gene)), default=0))
    else:
        pairs = pd.read_csv(Path(__file__).parent / "ligand_receptor_pairs" / f"{organism}.csv", comment="#")
    pairs = pairs[pairs.isin(panel).all(axis=1)].sort_values(["ligand", "receptor"])
    if pairs.empty:
        raise UserError(
            f"nichecompass: no ligand of {organism} and its receptor are both among the {len(panel)} genes of the "
            f"panel ({', '.join(sorted(panel)[:2])}, …), which must be its gene symbols; mend clustering.organism if "
            "it is another, or leave the method out."
        )
    return pairs["ligand"].to_numpy().astype(str), pairs["receptor"].to_numpy().astype(str)


def simulated_pairs(n_genes: int) -> pd.DataFrame:
    """Pair the markers of cell types, as ligands, with the genes that answer to cells near by, as receptors.

    Which type a gene belongs to is not known here: the markers since the last such gene are all paired with it.
    """
    pairs, markers = [], []
    for i, kind in enumerate(np.resize(KINDS, n_genes)):
        if kind == "marker":
            markers.append(f"gene_{i + 1}")
        elif kind == "neighbour":
            pairs += [(marker, f"gene_{i + 1}") for marker in markers]
            markers = []
    return pd.DataFrame(pairs, columns=["ligand", "receptor"], dtype=str)
