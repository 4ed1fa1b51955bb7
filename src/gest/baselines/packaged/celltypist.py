"""CellTypist (Domínguez Conde et al. 2022) labels a section: ``python celltypist.py GIVEN.npz MADE.npz``, twice.

Given, to fit: counts of n cells in T genes as CSR (`data`, `indices`, `indptr`), `genes`, their `labels` (n,), `seeds`,
and the `folder` for the models. Made: one model per seed in the folder; where all cells have one label, that label.
Given, to predict: counts of m cells as CSR (`test_data`, `test_indices`, `test_indptr`), `genes`, `seeds` and `folder`.
Made: `predicted` (seeds, m). Either way also `seconds` of each seed, `peak_mb`, `version`.
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

# CellTypist makes a folder for its own models, in the user's home where no other is named, as soon as it is imported.
OWN_MODELS = tempfile.TemporaryDirectory()
os.environ["CELLTYPIST_FOLDER"] = OWN_MODELS.name

import celltypist  # noqa: E402

LARGE = 100_000  # cells, above which the package's documentation advises to learn by mini-batches


def fit(reference: ad.AnnData, labels: np.ndarray, folder: Path, seed: int) -> None:
    """Train a logistic regression for each label against the others."""
    folder.mkdir(parents=True, exist_ok=True)
    if len(np.unique(labels)) == 1:  # there is nothing to tell apart
        (folder / "only_label.txt").write_text(labels[0], encoding="utf-8")
        return
    large = {"use_SGD": True, "mini_batch": True} if reference.n_obs > LARGE else {}
    np.random.seed(seed)  # noqa: NPY002 (CellTypist draws its mini-batches from it)
    # The check looks at the first cell alone, and stumbles over one that has no counts of these genes. Today's date
    # would make the same model other bytes tomorrow.
    model = celltypist.train(reference, labels, check_expression=False, date="-", random_state=seed, **large)
    model.write(str(folder / "model.pkl"))


def predict(query: ad.AnnData, folder: Path) -> np.ndarray:
    """Label each cell by itself, without a vote of those that it is grouped with."""
    if (folder / "only_label.txt").exists():
        return np.repeat((folder / "only_label.txt").read_text(encoding="utf-8"), query.n_obs)
    labelled = celltypist.annotate(query, model=str(folder / "model.pkl"), majority_voting=False)
    return labelled.predicted_labels["predicted_labels"].to_numpy().astype(str)


def main(given: str, made: str) -> None:
    """Fit or predict, for each seed."""
    arrays = np.load(given)
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
        made,
        **({"predicted": predicted} if test else {}),
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        version=f"CellTypist {version('celltypist')}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
