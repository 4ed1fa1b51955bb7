"""Clustering: every algorithm finds known clusters, gives the wanted number, and depends on the seed alone."""

import random
import shutil
import sys

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from gest.errors import UserError
from gest.tasks.cluster import R_SCRIPT, cluster

# Stands in for Rscript: it assigns each row to the nearest of k evenly spaced rows, numbered from 1, and keeps its
# input and arguments.
RSCRIPT = f"""#!{sys.executable}
import shutil, sys
from pathlib import Path
import numpy as np
vanilla, script, embedding, k, seed, clusters = sys.argv[1:]
Z = np.loadtxt(embedding, delimiter=",", ndmin=2)
centres = Z[:: len(Z) // int(k)][: int(k)]
np.savetxt(clusters, 1 + ((Z[:, None] - centres) ** 2).sum(2).argmin(1), fmt="%d")
Path(sys.argv[0]).with_name("seen").write_text(" ".join([vanilla, k, seed, Path(script).read_text()]))
shutil.copy(embedding, Path(sys.argv[0]).with_name("given.csv"))
"""


def blobs(rng, sizes=(60, 50, 40, 30), d=8, spread=0.3):
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return (4 * np.eye(d)[truth] + rng.normal(0, spread, (len(truth), d))).astype(np.float32), truth


@pytest.fixture
def rscript(tmp_path, monkeypatch):
    def install(text):
        (tmp_path / "Rscript").write_text(text)
        (tmp_path / "Rscript").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    return install


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["leiden", "kmeans"])
def test_known_clusters_are_found(rng, algorithm):
    embedding, truth = blobs(rng)
    clusters = cluster(embedding, 4, algorithm=algorithm, seed=0)
    assert adjusted_rand_score(truth, clusters) == 1
    assert sorted(set(clusters)) == [0, 1, 2, 3]


@pytest.mark.parametrize("wanted", [2, 5, 9])
def test_leiden_finds_the_wanted_number_of_clusters(rng, wanted):
    embedding = rng.uniform(0, 1, (500, 2))  # uniform points can be divided into any number
    assert len(set(cluster(embedding, wanted, seed=0))) == wanted


def test_leiden_takes_the_nearest_number_if_the_wanted_one_is_impossible(rng):
    embedding, truth = blobs(rng, sizes=(40,) * 6, spread=0.01)
    clusters = cluster(embedding, 3, seed=0)  # six groups without edges between them cannot be joined
    assert adjusted_rand_score(truth, clusters) == 1


@pytest.mark.parametrize("algorithm", ["leiden", "kmeans"])
def test_the_seed_alone_decides(rng, algorithm):
    embedding = rng.normal(size=(400, 10))
    first = cluster(embedding, 8, algorithm=algorithm, seed=0)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    other = cluster(embedding, 8, algorithm=algorithm, seed=1)
    assert cluster(embedding, 8, algorithm=algorithm, seed=0).tobytes() == first.tobytes()
    assert adjusted_rand_score(first, other) < 1


@pytest.mark.parametrize("algorithm", ["leiden", "kmeans"])
def test_cells_without_an_embedding_take_no_part(rng, algorithm):
    embedding, _ = blobs(rng)
    covered = rng.random(len(embedding)) < 0.8
    incomplete = embedding.copy()
    incomplete[~covered, 3] = np.nan
    clusters = cluster(incomplete, 4, algorithm=algorithm, seed=0)
    assert (clusters[~covered] == -1).all()
    np.testing.assert_array_equal(clusters[covered], cluster(embedding[covered], 4, algorithm=algorithm, seed=0))


def test_mclust_reads_the_embedding_and_its_clusters_are_returned(rng, rscript):
    folder = rscript(RSCRIPT)
    embedding, _ = blobs(rng, sizes=(30, 30, 30))
    embedding[7] = np.nan
    clusters = cluster(embedding, 3, algorithm="mclust", seed=2020)
    covered = np.isfinite(embedding).all(1)
    kept = embedding[covered]
    np.testing.assert_array_equal(clusters[covered], cdist(kept, kept[:: len(kept) // 3][:3]).argmin(1))
    assert clusters[7] == -1
    assert (folder / "seen").read_text() == f"--vanilla 3 2020 {R_SCRIPT}"
    np.testing.assert_array_equal(np.loadtxt(folder / "given.csv", delimiter=",", dtype=np.float32), kept)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "#!/bin/sh\nexit 3\n",
            r"'mclust' is not installed in the R of .*Rscript; install it \(on Debian, `apt-get install r-base",
        ),
        ("#!/bin/sh\nexit 4\n", r"could not make 4 clusters of 180 cells in 8 dimensions \(the model does not fit\)"),
        ("#!/bin/sh\necho some words >&2\necho Error: singular >&2\nexit 1\n", r"\(Error: singular\); choose leiden"),
    ],
)
def test_an_error_of_mclust_is_a_sentence(rng, rscript, text, sentence):
    rscript(text)
    with pytest.raises(UserError, match=sentence):
        cluster(blobs(rng)[0], 4, algorithm="mclust", seed=0)


def test_without_r_the_error_says_what_to_install(rng, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"needs Rscript, which is not installed; install R .*r-cran-mclust"):
        cluster(blobs(rng)[0], 4, algorithm="mclust", seed=0)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_mclust_itself_finds_known_clusters(rng):
    embedding, truth = blobs(rng)
    clusters = cluster(embedding, 4, algorithm="mclust", seed=2020)
    assert adjusted_rand_score(truth, clusters) == 1
    assert cluster(embedding, 4, algorithm="mclust", seed=2020).tobytes() == clusters.tobytes()


@pytest.mark.parametrize(
    ("rows", "wanted", "algorithm", "sentence"),
    [
        (5, 2, "louvain", r"clustering\.algorithm: unknown value 'louvain' \(choose one of leiden, kmeans, mclust\)"),
        (5, 6, "kmeans", r"cannot make 6 clusters of the 5 of 5 cells that have an embedding"),
        (5, 0, "leiden", "cannot make 0 clusters"),
        (0, 1, "leiden", "0 of 0 cells"),
    ],
)
def test_user_errors(rng, rows, wanted, algorithm, sentence):
    with pytest.raises(UserError, match=sentence):
        cluster(rng.normal(size=(rows, 3)), wanted, algorithm=algorithm, seed=0)
