"""Rank genes by SOMDE (Hao, Hua & Zhang 2021): ``python somde.py INPUT.npz OUTPUT.npz``.

Input: counts of T genes in n cells as CSR (`data`, `indices`, `indptr`), `xy` (n, 2) in µm, `k` cells per node.
Output: `gene`, the index of each gene's row in the counts; `llr`, its log-likelihood ratio of a Gaussian process over
the nodes against a constant; `version`.
"""

import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
import scipy
import scipy.misc
from scipy.sparse import csr_array


def restore_scipy() -> None:
    """Restore names that scipy had when SOMDE was last released (2021).

    SOMDE uses `scipy.misc.derivative`, and NumPy functions under their former names in scipy.
    """

    def derivative(function, x0, dx=1.0, n=1):  # noqa: ANN001, ANN202
        left, centre, right = (function(x0 + step * dx) for step in (-1, 0, 1))
        return {1: (right - left) / (2 * dx), 2: (left - 2 * centre + right) / dx**2}[n]

    scipy.misc.derivative = derivative
    for name in ("arange", "array", "argsort", "zeros_like"):
        setattr(scipy, name, getattr(np, name))


def main(input_path: str, output_path: str) -> None:
    """Run SOMDE as its authors' tutorial does."""
    restore_scipy()
    from somde import SomNode

    arrays = np.load(input_path)
    shape = len(arrays["indptr"]) - 1, len(arrays["xy"])
    counts = csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
    nodes = SomNode(arrays["xy"].astype(np.float32), int(arrays["k"]))
    nodes.mtx(pd.DataFrame(counts.toarray()))
    normalised = nodes.norm()
    bad = int((~np.isfinite(normalised)).any().sum())
    if bad:
        sys.exit(
            f"SOMDE: {bad} of {shape[0]} genes have no logarithm because the counts vary less than by chance; set "
            "`svg.method: morans_i` for this dataset."
        )
    table, _ = nodes.run()
    # A gene has several rows if several length scales fit it equally well.
    table = table.drop_duplicates("g").sort_values("g")
    gene, llr = table["g"].astype(int), table["LLR"].astype(float)
    np.savez(output_path, gene=gene, llr=llr, version=f"SOMDE {version('somde')}")


if __name__ == "__main__":
    main(*sys.argv[1:])
