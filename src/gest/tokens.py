"""From a section to what the model reads: genes matched, counts normalised, cells tokenised."""

import warnings

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from gest.errors import UserError
from gest.sections import coordinates, values
from gest.vocabulary import Vocabulary, normalise
from gest.windows import Tokens

_FEWEST_SHARED = 0.5  # of the vocabulary's genes; with less, tokens say little of the cell


def match_genes(section: AnnData, vocabulary: Vocabulary) -> np.ndarray:
    """Find the column of each of the vocabulary's T genes in a section, −1 where it is missing: (T,).

    Genes are matched by `var_names`, or by another column of `var` that shares more names with the vocabulary, so that
    symbols and Ensembl ids both match.
    """
    texts = (section.var[column].astype(str) for column in section.var if section.var[column].dtype.kind not in "fiub")
    names = max([section.var_names, *texts], key=lambda column: np.isin(vocabulary.genes, column).sum())
    place = {str(name): i for i, name in reversed(list(enumerate(names)))}
    return np.array([place.get(gene, -1) for gene in vocabulary.genes])


def expression(section: AnnData, vocabulary: Vocabulary) -> sp.csr_matrix:
    """Normalised expression (n, T) of a section, in the vocabulary's order of genes.

    Genes are matched by `match_genes`. A gene the section lacks takes its training mean, so that it says nothing.

    Raises
    ------
    UserError
        Fewer than half of the genes are shared, or counts meet a vocabulary of normalised data (or the reverse).
    """
    columns = match_genes(section, vocabulary)
    found = columns >= 0
    if found.mean() < _FEWEST_SHARED:
        raise UserError(
            f"section: only {found.sum()} of the model's {len(found)} genes are in its var_names or var columns "
            f"(at least {_FEWEST_SHARED:.0%} are needed); give gene symbols or Ensembl ids like {vocabulary.genes[0]}."
        )
    x = values(section, "section")
    # What says nothing of itself is counts if it is all integers: log-normalised values never are.
    looks = "counts" if (x.data == np.rint(x.data)).all() else "normalised"
    kind = section.uns.get("gest", {}).get("x", looks)
    wanted = "normalised" if vocabulary.normalisation is None else "counts"
    if kind != wanted:
        say = {"counts": "counts", "normalised": "normalised values"}
        raise UserError(f"section: X holds {say[kind]}, and the model was trained on {say[wanted]}; give it those.")
    x = sp.csc_matrix(x)[:, columns[found]]
    if vocabulary.normalisation is not None:
        usual = np.expm1(vocabulary.mean)  # the shared genes' usual part of a cell's total
        x = normalise(x, {"target_sum": vocabulary.normalisation["target_sum"] * usual[found].sum() / usual.sum()})
    if found.all():
        return sp.csr_matrix(x)
    warnings.warn(f"{(~found).sum()} of {len(found)} genes are not in the section and take their mean.", stacklevel=2)
    filled = np.tile(vocabulary.mean, (section.n_obs, 1))
    filled[:, found] = x.toarray()
    return sp.csr_matrix(filled)


def tokenize(section: AnnData, vocabulary: Vocabulary) -> Tokens:
    """Replace every cell's profile by its meta cell (Algorithm 2)."""
    return Tokens(coordinates(section, "section"), vocabulary.tokenize(expression(section, vocabulary)))
