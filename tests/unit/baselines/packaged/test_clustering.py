"""GraphST, SpaGCN and STAGATE find planted domains; each test needs its environment."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from gest.baselines.packaged import environment_python, run_packaged

ROOT = Path(__file__).parents[4]
N_GENES = 12


def with_environment(method):
    python = ROOT / environment_python(method)
    return pytest.param(method, marks=pytest.mark.skipif(not python.exists(), reason=f"no {python}"))


@pytest.mark.parametrize("method", [with_environment(method) for method in ("graphst", "spagcn", "stagate")])
def test_planted_domains_are_found_in_the_order_of_the_cells(method, monkeypatch):
    """Cells in random order form three stripes, each with four marker genes; SpaGCN expects a larger panel."""
    monkeypatch.chdir(ROOT)
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(18), np.arange(18))
    xy = rng.permutation(50.0 * np.column_stack([x.ravel(), y.ravel()]))
    domain = (xy[:, 0] // 300).astype(int)
    counts = csr_matrix(rng.poisson(np.where(domain[:, None] == np.arange(N_GENES) // 4, 5, 1)).astype(np.float32))
    arrays = {name: getattr(counts, name) for name in ("data", "indices", "indptr")}
    arrays |= {"genes": [f"g{i}" for i in range(N_GENES)], "xy": xy, "seeds": [0, 0], "n_clusters": [3]}
    output = run_packaged(method, **arrays)
    if method == "spagcn":
        first, again = output["labels"][:, 0]
    else:
        first, again = (KMeans(3, n_init=5, random_state=0).fit_predict(embedding) for embedding in output["embedding"])
        np.testing.assert_array_equal(*output["embedding"], err_msg="the same seed, the same numbers")
    np.testing.assert_array_equal(first, again)
    assert adjusted_rand_score(domain, first) > 0.8
    assert (output["seconds"] > 0).all()
    assert output["peak_mb"] > 50
    assert len(str(output["version"]).split()) > 1
