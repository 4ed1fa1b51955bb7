"""Gene names as users have them: symbols, Ensembl ids with and without versions, other species."""

import numpy as np
import pytest

import gest
from gest.data.tokenize import match_genes
from gest.errors import UserError
from gest.training.vocabulary import fit_sections


def with_ids(section, version=""):
    """Return a copy of a section whose genes are Ensembl ids with a version."""
    ids = section.copy()
    ids.var_names = [f"ENSMUSG{i:011d}{version}" for i in range(section.n_vars)]
    return ids


@pytest.mark.parametrize(("ours", "theirs"), [("", ".5"), (".3", ""), (".3", ".5")])
def test_versions_of_ensembl_ids_do_not_matter(sections, ours, theirs):
    vocabulary = fit_sections([with_ids(sections[0], ours)], {"n_metacells": 10, "n_components": 5})
    section = with_ids(sections[1], theirs)[:, ::-1].copy()
    assert np.array_equal(match_genes(section, vocabulary), np.arange(section.n_vars)[::-1])
    in_a_column = section.copy()
    in_a_column.var["ensembl"] = section.var_names
    in_a_column.var_names = [f"symbol {i}" for i in range(section.n_vars)]
    assert np.array_equal(match_genes(in_a_column, vocabulary), match_genes(section, vocabulary))


def test_ids_of_another_species_are_named(sections, model):
    vocabulary = fit_sections([with_ids(sections[0])], {"n_metacells": 10, "n_components": 5})
    human = with_ids(sections[1])
    human.var_names = human.var_names.str.replace("ENSMUSG", "ENSG")
    with pytest.raises(UserError, match="ENSG00000000000 is of another species than the model's ENSMUSG00000000000"):
        gest.embed(human, gest.GeST(model.config, vocabulary))


def test_gene_symbols_that_end_like_versions_are_left_alone(sections, vocabulary):
    section = sections[0].copy()
    section.var_names = [f"{name}.1" for name in section.var_names]  # such as RP11-34P13.7
    assert (match_genes(section, vocabulary) == -1).all()
