"""Label a section by CellTypist (Domínguez Conde et al. 2022): ``python celltypist.py INPUT.npz OUTPUT.npz``.

The script runs twice, first to fit and then to predict; the input decides which.
Input to fit: counts of n cells in T genes as CSR (`data`, `indices`, `indptr`), `genes`, the cells' `labels` (n,),
`seeds`, and the `folder` for the models. It writes one model per seed there, or the label if there is only one.
Input to predict: counts of m cells as CSR (`test_data`, `test_indices`, `test_indptr`), `genes`, `seeds` and `folder`.
Output: `predicted` (seeds, m) if predicting; `seconds` of each seed; `peak_mb`; `version`.
"""

import os
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import anndata as ad
import numpy as np
import scanpy as sc
from scipy.sparse import csr_matrix

# CellTypist creates a folder for downloaded models when it is imported, by default in the user's home.
DOWNLOADS = tempfile.TemporaryDirectory()
os.environ["CELLTYPIST_FOLDER"] = DOWNLOADS.name

import celltypist  # noqa: E402

LARGE = 100_000  # cells; above, the package's documentation advises mini-batches


def fit(reference: ad.AnnData, labels: np.ndarray, folder: Path, seed: int) -> None:
    """Train a one-versus-rest logistic regression, and save it in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if len(np.unique(labels)) == 1:  # nothing to classify
        (folder / "only_label.txt").write_text(labels[0], encoding="utf-8")
        return
    large = {"use_SGD": True, "mini_batch": True} if reference.n_obs > LARGE else {}
    np.random.seed(seed)  # noqa: NPY002 (CellTypist draws its mini-batches from this generator)
    # check_expression inspects only the first cell, and fails if that cell has no counts of these genes. With a fixed
    # date, the file of a model does not depend on the day.
    model = celltypist.train(reference, labels, check_expression=False, date="-", random_state=seed, **large)
    model.write(str(folder / "model.pkl"))


def predict(query: ad.AnnData, folder: Path) -> np.ndarray:
    """Label each cell separately, without majority voting over clusters."""
    if (folder / "only_label.txt").exists():
        return np.repeat((folder / "only_label.txt").read_text(encoding="utf-8"), query.n_obs)
    labelled = celltypist.annotate(query, model=str(folder / "model.pkl"), majority_voting=False)
    return labelled.predicted_labels["predicted_labels"].to_numpy().astype(str)


def main(input_path: str, output_path: str) -> None:
    """Fit or predict, for each seed."""
    arrays = np.load(input_path)
    test = "test_" if "test_indptr" in arrays else ""
    csr = tuple(arrays[test + part] for part in ("data", "indices", "indptr"))
    cells = ad.AnnData(csr_matrix(csr, shape=(len(csr[2]) - 1, len(arrays["genes"])), dtype=np.float32))
    cells.var_names = arrays["genes"].astype(str)
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)

    predicted, seconds = [], []
    for seed in arrays["seeds"].tolist():
        started = time.monotonic()
        folder = Path(str(arrays["folder"]), str(seed))
        if test:
            predicted.append(predict(cells, folder))
        else:
            fit(cells, arrays["labels"].astype(str), folder, seed)
        seconds.append(time.monotonic() - started)
    np.savez(
        output_path,
        **({"predicted": predicted} if test else {}),
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        version=f"CellTypist {version('celltypist')}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
