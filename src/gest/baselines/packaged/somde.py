"""SOMDE (Hao, Hua & Zhang 2021) on one section: ``python somde.py GIVEN.npz MADE.npz``.

Given: counts of T genes in n cells as CSR (`data`, `indices`, `indptr`), `xy` (n, 2) in µm, `k` cells per node.
Made: `gene`, its row among the counts, and `llr`, how much more likely a Gaussian process over the nodes makes its
expression than a constant does; `version`.
"""

import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
import scipy
import scipy.misc
from scipy.sparse import csr_array


def restore_scipy() -> None:
    """Give scipy the names back that it had when SOMDE was last released (2021): its own derivative, and NumPy's."""

    def derivative(function, x0, dx=1.0, n=1):  # noqa: ANN001, ANN202
        left, centre, right = (function(x0 + step * dx) for step in (-1, 0, 1))
        return {1: (right - left) / (2 * dx), 2: (left - 2 * centre + right) / dx**2}[n]

    scipy.misc.derivative = derivative
    for name in ("arange", "array", "argsort", "zeros_like"):
        setattr(scipy, name, getattr(np, name))


def main(given: str, made: str) -> None:
    """Run SOMDE as its authors' tutorial does."""
    restore_scipy()
    from somde import SomNode

    arrays = np.load(given)
    shape = len(arrays["indptr"]) - 1, len(arrays["xy"])
    counts = csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
    nodes = SomNode(arrays["xy"].astype(np.float32), int(arrays["k"]))
    nodes.mtx(pd.DataFrame(counts.toarray()))
    normalised = nodes.norm()
    bad = int((~np.isfinite(normalised)).any().sum())
    if bad:
        sys.exit(
            f"SOMDE: {bad} of {shape[0]} genes have no logarithm, for the genes vary less than by chance; "
            "set svg.method to morans_i for this dataset."
        )
    found, _ = nodes.run()
    # A gene has several rows where lengths fit it equally well.
    found = found.drop_duplicates("g").sort_values("g")
    np.savez(made, gene=found["g"].astype(int), llr=found["LLR"].astype(float), version=f"SOMDE {version('somde')}")


if __name__ == "__main__":
    main(*sys.argv[1:])
