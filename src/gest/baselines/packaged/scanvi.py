"""Label a section by scANVI (Xu et al. 2021): ``python scanvi.py INPUT.npz OUTPUT.npz``.

The script runs twice, first to fit and then to predict; the input decides which.
Input to fit: counts of n cells in T genes as CSR (`data`, `indices`, `indptr`), `genes`, the cells' `labels` (n,) and
`sections` (n,), `seeds`, and the `folder` for the models. It writes one model per seed there, or the label if there is
only one.
Input to predict: counts of m cells as CSR (`test_data`, `test_indices`, `test_indptr`), `genes`, `seeds` and `folder`.
Output: `predicted` (seeds, m) if predicting; `seconds` of each seed; `peak_mb`; `version`.
"""

import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import anndata as ad
import numpy as np
import scvi
from scipy.sparse import csr_matrix
from scvi.model import SCANVI, SCVI

# As in the scvi-tools tutorial on reference mapping with scArches; all other settings are the package's defaults.
REFERENCE = {
    **{"n_layers": 2, "dropout_rate": 0.2, "encode_covariates": True},
    **{"use_layer_norm": "both", "use_batch_norm": "none"},
}
UNLABELLED = ""  # scANVI needs a name for cells without a label; no label is empty
DEVICE = {"accelerator": "cpu", "enable_progress_bar": False}


def fit(reference: ad.AnnData, folder: Path) -> None:
    """Train scVI on annotated sections, then scANVI on top of it."""
    labels = reference.obs["label"].unique()
    if len(labels) == 1:  # nothing to classify
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "only_label.txt").write_text(labels[0], encoding="utf-8")
        return
    SCVI.setup_anndata(reference, batch_key="section")
    model = SCVI(reference, **REFERENCE)
    model.train(**DEVICE)
    model = SCANVI.from_scvi_model(model, unlabeled_category=UNLABELLED, labels_key="label")
    model.train(max_epochs=20, n_samples_per_label=100, **DEVICE)
    model.save(str(folder), overwrite=True)


def predict(query: ad.AnnData, folder: Path) -> np.ndarray:
    """Map a section onto the reference as a new batch, and label its cells."""
    if (folder / "only_label.txt").exists():
        return np.repeat((folder / "only_label.txt").read_text(encoding="utf-8"), query.n_obs)
    model = SCANVI.load_query_data(query, str(folder), accelerator="cpu")
    model.train(max_epochs=100, plan_kwargs={"weight_decay": 0.0}, check_val_every_n_epoch=10, **DEVICE)
    return model.predict().astype(str)


def main(input_path: str, output_path: str) -> None:
    """Fit or predict, for each seed."""
    arrays = np.load(input_path)
    test = "test_" if "test_indptr" in arrays else ""
    csr = tuple(arrays[test + part] for part in ("data", "indices", "indptr"))
    cells = ad.AnnData(csr_matrix(csr, shape=(len(csr[2]) - 1, len(arrays["genes"])), dtype=np.float32))
    cells.var_names = arrays["genes"].astype(str)
    # With the prefix, no training section has the name of the section to label.
    cells.obs["section"] = "query" if test else np.char.add("reference ", arrays["sections"].astype(str))
    cells.obs["label"] = UNLABELLED if test else arrays["labels"].astype(str)

    predicted, seconds = [], []
    for seed in arrays["seeds"].tolist():
        started = time.monotonic()
        scvi.settings.seed = seed
        folder = Path(str(arrays["folder"]), str(seed))
        if test:
            predicted.append(predict(cells.copy(), folder))
        else:
            fit(cells.copy(), folder)
        seconds.append(time.monotonic() - started)
    np.savez(
        output_path,
        **({"predicted": predicted} if test else {}),
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        version=f"scvi-tools {version('scvi-tools')}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
