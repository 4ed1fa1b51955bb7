"""Proves that both methods learn: two groups of cells, which differ in half of their genes, are told apart again."""

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
    right = (model.predict() == labels).mean()
    assert right > 0.95, f"scANVI tells {right:.0%} of two easy groups apart"

    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    found = celltypist.annotate(cells, model=celltypist.train(cells, "label")).predicted_labels["predicted_labels"]
    right = (found.to_numpy() == labels).mean()
    assert right > 0.95, f"CellTypist tells {right:.0%} of two easy groups apart"
