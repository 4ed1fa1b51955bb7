"""Check that scANVI and CellTypist learn: they classify two groups of cells that differ in every gene."""

import os
import tempfile

import anndata as ad
import numpy as np
import scanpy as sc

with tempfile.TemporaryDirectory() as folder:
    os.environ["CELLTYPIST_FOLDER"] = folder
    import celltypist
    from scvi import settings
    from scvi.model import SCANVI, SCVI

    settings.seed = 0
    rng = np.random.default_rng(0)
    labels = np.repeat(["one", "other"], 100)
    means = np.where((labels == "one")[:, None] == (np.arange(20) < 10), 8, 1)
    cells = ad.AnnData(rng.poisson(means).astype(np.float32))
    cells.obs["label"] = labels

    cpu = {"accelerator": "cpu", "enable_progress_bar": False}
    SCVI.setup_anndata(cells, labels_key="label")
    model = SCVI(cells)
    model.train(max_epochs=20, **cpu)
    model = SCANVI.from_scvi_model(model, unlabeled_category="Unknown")
    model.train(max_epochs=20, **cpu)
    accuracy = (model.predict() == labels).mean()
    assert accuracy > 0.95, f"scANVI classifies {accuracy:.0%} of two easy groups correctly"

    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    result = celltypist.annotate(cells, model=celltypist.train(cells, "label"))
    accuracy = (result.predicted_labels["predicted_labels"].to_numpy() == labels).mean()
    assert accuracy > 0.95, f"CellTypist classifies {accuracy:.0%} of two easy groups correctly"
