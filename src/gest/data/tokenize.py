"""Match a section's genes with a vocabulary, normalise its counts, and replace its cells by meta cells."""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from gest.data.on_disk import on_disk
from gest.errors import UserError
from gest.sections import read_coordinates, read_matrix
from gest.vocabulary import Vocabulary, normalise
from gest.windows import Tokens

_FEWEST_SHARED = 0.5  # share of the vocabulary's genes; with fewer, tokens carry little information about the cell
_ENSEMBL = re.compile(r"^(ENS[A-Z]*G\d{11})(?:\.\d+)?$")


def match_genes(section: AnnData, vocabulary: Vocabulary) -> np.ndarray:
    """Find the column of each vocabulary gene in the section: (T,), −1 if missing.

    Genes are matched by name. The names are `var_names` or a text column of `var`, whichever shares most names with the
    vocabulary; symbols and Ensembl ids both work. The version of an Ensembl id (`.5`) is ignored.

    Raises
    ------
    UserError
        Two or more columns of X have the name of one vocabulary gene; it is unclear which to use.
    """
    names, genes = _names(section, vocabulary), _unversioned(vocabulary.genes)
    column_of: dict[str, int] = {}
    for column, name in enumerate(names):
        if column_of.setdefault(name, column) != column and name in genes:
            raise UserError(
                f"section: {(names == name).sum()} columns are of the gene '{name}' (expected one); add them up or "
                "keep one, or rename the others with AnnData.var_names_make_unique."
            )
    return np.array([column_of.get(gene, -1) for gene in genes])


def expression(section: AnnData, vocabulary: Vocabulary, columns: np.ndarray | None = None) -> sp.csr_matrix:
    """Normalise a section's expression: (n, T), in the vocabulary's order of genes.

    A gene that the section lacks gets its training mean, so that it carries no information.

    Parameters
    ----------
    columns
        (T,) the result of `match_genes`; computed if not passed.

    Raises
    ------
    UserError
        The section has fewer than half of the vocabulary's genes, or several columns of one of them; or the section
        holds counts and the vocabulary was fitted to normalised values, or the reverse.
    """
    if columns is None:
        columns = match_genes(section, vocabulary)
    shared = columns >= 0
    if shared.mean() < _FEWEST_SHARED:
        reason = _why_so_few(_names(section, vocabulary), _unversioned(vocabulary.genes))
        raise UserError(
            f"section: only {shared.sum()} of the model's {len(shared)} genes are in its var_names or var columns "
            f"(at least {_FEWEST_SHARED:.0%} are needed); {reason}."
        )
    x = read_matrix(section, "section")
    # If the section does not declare what X holds, integers are taken as counts and anything else as normalised values.
    kind = section.uns.get("gest", {}).get("x", "counts" if _integers(x.data) else "normalised")
    model_kind = "normalised" if vocabulary.normalisation is None else "counts"
    if kind != model_kind:
        contents = {"counts": "counts", "normalised": "normalised values"}
        layers = [name for name, layer in section.layers.items() if _integers(layer)] if model_kind == "counts" else []
        remedy = (
            f"copy layers['{layers[0]}'], which holds counts, to X" if layers else f"put {contents[model_kind]} in X"
        )
        raise UserError(
            f"section: X holds {contents[kind]}, but the model was trained on {contents[model_kind]}; {remedy}."
        )
    x = sp.csc_matrix(x)[:, columns[shared]]
    if vocabulary.normalisation is not None:
        x = normalise(x, {"target_sum": vocabulary.total_over(shared)})
    if shared.all():
        return sp.csr_matrix(x)
    warnings.warn(
        f"{(~shared).sum()} of the model's {len(shared)} genes are not in the section; their training mean is used.",
        stacklevel=2,
    )
    filled = np.tile(vocabulary.mean, (section.n_obs, 1))
    filled[:, shared] = x.toarray()
    return sp.csr_matrix(filled)


def _names(section: AnnData, vocabulary: Vocabulary) -> np.ndarray:
    """Choose the gene names that match most of the vocabulary's genes.

    The candidates are `var_names` and the columns of `var` that hold text.
    """
    text_columns = (
        section.var[column].astype(str) for column in section.var if section.var[column].dtype.kind not in "fiub"
    )
    genes = _unversioned(vocabulary.genes)
    return max(
        (_unversioned(names) for names in (section.var_names, *text_columns)),
        key=lambda names: np.isin(genes, names).sum(),
    )


def _unversioned(names: Iterable[str]) -> np.ndarray:
    return np.array([_ENSEMBL.sub(r"\1", str(name)) for name in names], dtype=str)


def _why_so_few(names: np.ndarray, genes: np.ndarray) -> str:
    """Explain how a section's genes differ from the model's, and how to fix it."""
    section_gene = next((name for name in names if _ENSEMBL.match(name)), None)
    model_gene = next((name for name in genes if _ENSEMBL.match(name)), None)
    if bool(section_gene) != bool(model_gene):
        kinds = ("Ensembl ids", "symbols") if section_gene else ("symbols", "Ensembl ids")
        example = section_gene or names[0]
        return f"its genes are {kinds[0]} ({example}), the model's {kinds[1]} ({genes[0]}): add a column to var"
    if section_gene and section_gene.rstrip("0123456789") != model_gene.rstrip("0123456789"):
        return (
            f"{section_gene} is of another species than the model's {model_gene}: "
            "translate the genes to their orthologues"
        )
    by_lower_case = {name.lower(): name for name in names}
    pairs = [(by_lower_case[gene.lower()], gene) for gene in genes if gene.lower() in by_lower_case]
    if len(pairs) >= _FEWEST_SHARED * len(genes):
        section_gene, model_gene = next(pair for pair in pairs if pair[0] != pair[1])
        return (
            f"it has '{section_gene}' for '{model_gene}', as in the symbols of another species: rename the genes to "
            "those of the model's species if they are orthologues"
        )
    return f"use gene symbols or Ensembl ids like {genes[0]}, or a model of this panel"


def _integers(layer: np.ndarray | sp.spmatrix) -> bool:
    stored = layer.data if sp.issparse(layer) else np.asarray(layer)
    return bool((stored == np.rint(stored)).all())


def tokenize(section: AnnData, vocabulary: Vocabulary, folder: Path | None = None) -> Tokens:
    """Replace every cell's profile by its meta cell (Algorithm 2).

    With a `folder`, the normalised expression is stored there (see `on_disk`) and returned with the tokens.
    """
    normalised = expression(section, vocabulary)
    tokens = vocabulary.tokenize(normalised)
    return Tokens(read_coordinates(section, "section"), tokens, None if folder is None else on_disk(normalised, folder))
