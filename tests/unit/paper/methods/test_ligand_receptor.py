"""Ligand–receptor pairs: the shipped files, their licence, and the pairs that a panel holds."""

from pathlib import Path

import pandas as pd
import pytest

import gest
from gest.data.sources.simulate import simulate
from gest.errors import UserError
from gest.paper.methods.ligand_receptor import ligand_receptor_pairs

DATA = Path(gest.__file__).parent / "paper/methods/ligand_receptor_pairs"
# Textbook signals, ligand first; the receptor of interferon β has two genes.
KNOWN = [("CXCL12", "CXCR4"), ("BDNF", "NTRK2"), ("IGF1", "IGF1R"), ("IFNB1", "IFNAR1"), ("IFNB1", "IFNAR2")]


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_the_files_name_source_and_licence_and_hold_each_pair_of_genes_once(organism):
    path = DATA / f"{organism}.csv"
    header = path.read_text(encoding="utf-8").splitlines()[0]
    assert header.startswith("#")
    for entry in (organism, "connectomeDB2020", "MIT", "2019 Rui Hou", "README.md"):
        assert entry in header
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in readme
    pairs = pd.read_csv(path, comment="#")
    assert pairs.columns.tolist() == ["ligand", "receptor"]
    assert f"`{path.name}` ({len(pairs):,} pairs)" in readme
    assert not pairs.duplicated().any()
    assert not pairs.isna().any().any()
    # One gene per column: complexes are split.
    for genes in (pairs["ligand"], pairs["receptor"]):
        assert genes.str.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*").all()


@pytest.mark.parametrize(
    ("organism", "spell", "other"), [("human", str, str.capitalize), ("mouse", str.capitalize, str)]
)
def test_a_panel_gets_the_known_pairs_of_which_it_holds_both_genes(organism, spell, other):
    panel = sorted({spell(gene) for pair in KNOWN for gene in pair})
    ligands, receptors = ligand_receptor_pairs(organism, panel)
    assert set(zip(ligands, receptors, strict=True)) == {(spell(ligand), spell(receptor)) for ligand, receptor in KNOWN}
    assert ligands.tolist() == sorted(ligands)
    without = [gene for gene in panel if gene != spell("IFNAR2")]
    ligands, receptors = ligand_receptor_pairs(organism, [*without, other("IFNAR2"), "Xyz1"])
    assert len(ligands) == len(KNOWN) - 1
    assert spell("IFNAR2") not in receptors
    assert other("IFNAR2") not in receptors


def test_mouse_pairs_are_orthologues_not_spelling():
    # The mouse symbols of CCL21 and FLT3LG differ from the human ones by more than case.
    for human, mouse in ((("CCL21", "CCR7"), ("Ccl21a", "Ccr7")), (("FLT3LG", "FLT3"), ("Flt3l", "Flt3"))):
        assert len(ligand_receptor_pairs("human", human)[0]) == 1
        ligands, receptors = ligand_receptor_pairs("mouse", mouse)
        assert (*ligands, *receptors) == mouse
        with pytest.raises(UserError, match="hold no ligand–receptor pair of mouse"):
            ligand_receptor_pairs("mouse", [gene.capitalize() for gene in human])


def test_simulated_pairs_join_markers_to_genes_that_respond_to_neighbours():
    section = simulate("S1", donor="D1", n_cells=50, n_genes=60)
    ligands, receptors = ligand_receptor_pairs("simulated", section.var_names)
    assert set(section.var.loc[ligands, "kind"]) == {"marker"}
    assert set(section.var.loc[receptors, "kind"]) == {"neighbour"}
    assert set(receptors) == set(section.var_names[section.var["kind"] == "neighbour"])
    kept = section.var_names[20:]  # a panel without the first genes keeps the others' pairs
    fewer = ligand_receptor_pairs("simulated", kept)
    assert set(zip(*fewer, strict=True)) == {
        pair for pair in zip(ligands, receptors, strict=True) if set(pair) <= set(kept)
    }


def test_mistakes_are_named():
    with pytest.raises(UserError, match=r"2 genes .* hold no ligand–receptor pair of mouse.* clustering\.organism"):
        ligand_receptor_pairs("mouse", ["CXCL12", "CXCR4"])
    with pytest.raises(UserError, match="panel's 2 genes"):
        ligand_receptor_pairs("simulated", ["gene_2", "other"])
    with pytest.raises(
        UserError, match=r"clustering\.organism: unknown value 'rat' \(choose human, mouse or simulated\)"
    ):
        ligand_receptor_pairs("rat", ["Cxcl12", "Cxcr4"])
