"""Match genes by symbols or Ensembl ids, refuse those that cannot be matched, and tokenise sections."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import TINY

import gest
from gest import Vocabulary
from gest.data.tokenize import expression, match_genes, tokenize
from gest.errors import UserError
from gest.sections import write_section
from gest.training.vocabulary import fit_sections
from gest.vocabulary import normalise


def test_order_of_genes_does_not_matter(sections, vocabulary):
    straight, reversed_ = expression(sections[0], vocabulary), expression(sections[0][:, ::-1].copy(), vocabulary)
    np.testing.assert_allclose(straight.toarray(), reversed_.toarray(), rtol=1e-6)
    np.testing.assert_allclose(
        straight.toarray(), normalise(sections[0].X, vocabulary.normalisation).toarray(), rtol=1e-6
    )


def test_ids_in_another_column_match(sections, vocabulary):
    adata = sections[0].copy()
    adata.var["symbol"] = adata.var_names
    adata.var_names = [f"ENSMUSG{i:011d}" for i in range(adata.n_vars)]
    np.testing.assert_array_equal(match_genes(adata, vocabulary), np.arange(adata.n_vars))


def test_missing_genes_take_their_mean_and_are_counted(sections, vocabulary):
    fewer = sections[0][:, 4:].copy()
    with pytest.warns(UserWarning, match="4 of the model's 40 genes"):
        filled = expression(fewer, vocabulary).toarray()
    np.testing.assert_allclose(filled[:, :4], np.broadcast_to(vocabulary.mean[:4], (fewer.n_obs, 4)), rtol=1e-6)
    whole = expression(sections[0], vocabulary).toarray()
    assert np.abs(filled[:, 4:].mean(0) - whole[:, 4:].mean(0)).max() < 0.1  # still on the same scale


def test_a_gene_in_two_columns_is_refused_where_the_model_knows_it(sections, vocabulary):
    adata = sections[0].copy()
    names = adata.var_names.to_numpy(dtype=str)
    adata.var["symbol"] = np.concatenate((names[:1], names[:1], names[2:]))  # shares more names than var_names
    adata.var_names = [f"ENSMUSG{i:011d}" for i in range(adata.n_vars)]
    with pytest.raises(UserError, match=rf"section: 2 columns are of the gene '{names[0]}' \(expected one\)"):
        match_genes(adata, vocabulary)
    adata.var["symbol"] = np.concatenate((["other", "other"], names[2:]))  # a name that the model does not know
    np.testing.assert_array_equal(match_genes(adata, vocabulary), [-1, -1, *range(2, len(names))])


def test_too_few_shared_genes(sections, vocabulary):
    with pytest.raises(UserError, match="only 10 of the model's 40 genes"):
        expression(sections[0][:, :10].copy(), vocabulary)


def test_counts_and_normalised_values_do_not_mix(sections, vocabulary):
    adata = sections[0].copy()
    adata.uns["gest"] = {"x": "normalised"}
    with pytest.raises(UserError, match="holds normalised values, but the model was trained on counts"):
        expression(adata, vocabulary)


def test_undeclared_values_are_what_they_look_like(sections, vocabulary):
    adata = sections[0].copy()
    del adata.uns["gest"]
    np.testing.assert_array_equal(
        expression(adata, vocabulary).toarray(), expression(sections[0], vocabulary).toarray()
    )
    normalised = Vocabulary.fit(expression(sections[0], vocabulary), n_metacells=5, genes=vocabulary.genes)
    with pytest.raises(UserError, match="holds counts, but the model was trained on normalised values"):
        expression(adata, normalised)
    adata.X = expression(sections[0], vocabulary)
    np.testing.assert_array_equal(expression(adata, normalised).toarray(), adata.X.toarray())


@pytest.mark.parametrize(("value", "message"), [(np.nan, "NaN"), (-1.0, "down to -1"), (0.5, "trained on counts")])
def test_bad_values(sections, vocabulary, value, message):
    adata = sections[0].copy()
    del adata.uns["gest"]
    adata.X = sp.csr_matrix(adata.X)
    adata.X.data[3] = value
    with pytest.raises(UserError, match=message):
        expression(adata, vocabulary)


def test_tokens_are_those_of_the_vocabulary(sections, vocabulary):
    tokens = tokenize(sections[0], vocabulary)
    np.testing.assert_array_equal(tokens.xy, sections[0].obsm["spatial"])
    np.testing.assert_array_equal(
        tokens.tokens, vocabulary.tokenize(normalise(sections[0].X, vocabulary.normalisation))
    )


def test_a_model_is_trained_on_files_as_on_sections(sections, vocabulary, tmp_path):
    """The run key is a hash that covers the training data."""
    paths = [tmp_path / "a.h5ad", str(tmp_path / "b.h5ad")]
    for section, path in zip(sections, paths, strict=True):
        write_section(section, path)
    from_files = gest.pretrain(paths, vocabulary, TINY, validation=paths[1:], out=tmp_path / "files")
    from_sections = gest.pretrain(sections, vocabulary, TINY, validation=sections[1:], out=tmp_path / "sections")
    assert from_files.metrics["run_key"] == from_sections.metrics["run_key"]
    with pytest.raises(UserError, match=r"c\.h5ad: file not found"):
        gest.pretrain([tmp_path / "c.h5ad"], vocabulary, TINY, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def with_ids(section, version=""):
    """Return a copy of a section whose genes are Ensembl ids with a version."""
    ids = section.copy()
    ids.var_names = [f"ENSMUSG{i:011d}{version}" for i in range(section.n_vars)]
    return ids


@pytest.mark.parametrize(("model_version", "section_version"), [("", ".5"), (".3", ""), (".3", ".5")])
def test_versions_of_ensembl_ids_do_not_matter(sections, model_version, section_version):
    vocabulary = fit_sections([with_ids(sections[0], model_version)], {"n_metacells": 10, "n_components": 5})
    section = with_ids(sections[1], section_version)[:, ::-1].copy()
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


def test_versions_of_ids_do_not_make_another_species(sections, model):
    vocabulary = fit_sections([with_ids(sections[0], ".3")], {"n_metacells": 10, "n_components": 5})
    few = with_ids(sections[1])[:, :5].copy()
    with pytest.raises(UserError, match="use gene symbols or Ensembl ids like ENSMUSG"):
        gest.embed(few, gest.GeST(model.config, vocabulary))


def test_gene_symbols_that_end_like_versions_are_left_alone(sections, vocabulary):
    section = sections[0].copy()
    section.var_names = [f"{name}.1" for name in section.var_names]  # such as RP11-34P13.7
    assert (match_genes(section, vocabulary) == -1).all()
