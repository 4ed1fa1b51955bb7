"""A small section and an untrained model, for examples in docstrings."""

from anndata import AnnData

from gest.data.sources.simulate import simulate
from gest.model import GeST
from gest.training.vocabulary import fit_sections


def example() -> tuple[AnnData, GeST]:
    """Simulate a section of 200 cells and 20 genes, and create a model for it."""
    section = simulate("s1", donor="a", n_cells=200, width_um=400, height_um=400, n_genes=20, seed=0)
    vocabulary = fit_sections([section], {"n_metacells": 10, "n_components": 5, "hierarchy": [4, 3, 2]})
    model = GeST({"window": 200, "model": {"layers": 1, "heads": 1, "width": 8}}, vocabulary)
    return section, model.eval()
