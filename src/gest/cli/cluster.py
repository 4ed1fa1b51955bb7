"""`gest cluster`: cluster the niches of a section."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import app, format_examples, log
from gest.cli.options import Seed, check_writable, write_whole
from gest.errors import UserError


@app.command(
    epilog=format_examples(
        "gest embed mine.h5ad --model model --out niches.h5ad",
        "gest cluster niches.h5ad --n-clusters 8 --out clusters.h5ad",
        "    obs['gest_cluster'] holds '0' to '7'; scanpy: sc.pl.embedding(adata, 'spatial', color='gest_cluster')",
    )
)
def cluster(
    adata: Annotated[Path, Argument(help="Section (.h5ad) with obsm['X_gest'], from `gest embed`.")],
    n_clusters: Annotated[int, Option(min=2, help="Number of clusters.")],
    out: Annotated[Path, Option(help="Section to write (.h5ad): the same, with obs['gest_cluster'].")],
    algorithm: Annotated[
        str, Option(help="leiden (searches its resolution), kmeans, or mclust (needs the R package).")
    ] = "leiden",
    seed: Seed = 0,
) -> None:
    """Cluster the niches of a section."""
    import pandas as pd

    from gest.sections import open_h5ad
    from gest.tasks.cluster import cluster as cluster_embedding

    section = open_h5ad(adata)
    if "X_gest" not in section.obsm:
        raise UserError(f"{adata}: obsm has no 'X_gest'; create it with `gest embed`.")
    check_writable(out, ".h5ad")
    clusters = cluster_embedding(section.obsm["X_gest"], n_clusters, algorithm=algorithm, seed=seed)
    section.obs["gest_cluster"] = pd.Categorical(clusters.astype(str))
    write_whole(out, section.write_h5ad)
    log.info("%s: obs['gest_cluster'] holds %d clusters of %d cells", out, len(set(clusters)), len(clusters))
