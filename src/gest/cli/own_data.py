"""Verbs that bring a user's own file in, and cluster what became of it."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import DryRun, Seed, app, examples, log, writable, write_whole
from gest.errors import UserError


@app.command(
    epilog=examples(
        "gest prepare brain.h5ad --section-key slide --out sections",
        "    one file per slide: sections/slide1.h5ad, sections/slide2.h5ad, …",
        "gest prepare brain.h5ad --section-key slide --label region --layer raw --microns-per-unit 1000 --out sections",
        "    counts are in layers['raw'], coordinates in mm, and obs['region'] is kept",
        "gest prepare xenium.zarr --out sections --dry-run",
        "    what the table of a SpatialData object holds, without writing anything",
    )
)
def prepare(
    adata: Annotated[Path, Argument(help="Your file: an .h5ad, or a SpatialData .zarr, of one or many sections.")],
    out: Annotated[Path, Option(help="Folder to write: one .h5ad per section, and sections.csv.")],
    section_key: Annotated[
        str | None,
        Option(help="Column of obs that tells sections apart. Default: 'section' where obs has it, else one section."),
    ] = None,
    donor_key: Annotated[
        str | None, Option(help="Column of obs that names donors; else every section is a donor of its own.")
    ] = None,
    label: Annotated[list[str], Option(help="Column of obs to keep, of labels; give the option once for each.")] = [],  # noqa: B006
    layer: Annotated[str | None, Option(help="Layer that holds the counts, if X does not.")] = None,
    spatial_key: Annotated[str, Option(help="Key of obsm with the coordinates.")] = "spatial",
    microns_per_unit: Annotated[
        float | None, Option(help="µm in one unit of the coordinates: 1000 if they are mm, the size of a pixel, …")
    ] = None,
    normalised: Annotated[
        bool, Option("--normalised", help="X is log-normalised, and there are no counts; so is the model's data then.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Check your own file, and write its sections as all other verbs take them."""
    import numpy as np
    import pandas as pd

    from gest.data.sources.anndata import names_of, read
    from gest.data.sources.open_file import open_file
    from gest.sections import write_section
    from gest.utils.files import replaceable, whole_folder

    replaceable(out, "sections.csv")  # an occupied one is refused before the work
    if section_key is None and "section" in open_file(adata, backed=True).obs:
        section_key = "section"
    names = names_of(adata, section_key) if section_key else [adata.stem]
    files: dict[str, str] = {}
    for name in names:
        if (other := files.setdefault(file := f"{name.replace('/', '_')}.h5ad", name)) != name:
            raise UserError(f"{adata}: sections '{other}' and '{name}' would both be written to {file}; rename one.")
    settings = {"section_key": section_key, "donor_key": donor_key, "labels": {name: name for name in label}}
    settings |= {"layer": layer, "spatial_key": spatial_key, "microns_per_unit": microns_per_unit}
    settings |= {"x": "normalised" if normalised else "counts"}
    with nullcontext() if dry_run else whole_folder(out, "sections.csv") as folder:
        rows = []
        for file, name in files.items():
            section = read(adata, name=name, **settings)
            (x0, y0), (x1, y1) = (end(section.obsm["spatial"], axis=0).round(1) for end in (np.min, np.max))
            rows.append((name, section.obs["donor"].iloc[0], *section.shape, x0, x1, y0, y1))
            log.info("%s: %d cells, %d genes, x %.0f to %.0f µm, y %.0f to %.0f µm", name, *rows[-1][2:])
            if not dry_run:
                write_section(section, folder / file)
        if not dry_run:
            columns = ["section", "donor", "cells", "genes", "x_min_um", "x_max_um", "y_min_um", "y_max_um"]
            pd.DataFrame(rows, columns=columns).to_csv(folder / "sections.csv", index=False)
    log.info("%s: %d sections%s", out, len(names), " would be written" if dry_run else "")


@app.command(
    epilog=examples(
        "gest embed mine.h5ad --model model --out niches.h5ad",
        "gest cluster niches.h5ad --n-clusters 8 --out clusters.h5ad",
        "    obs['gest_cluster'] holds '0' to '7'; scanpy: sc.pl.embedding(adata, 'spatial', color='gest_cluster')",
    )
)
def cluster(
    adata: Annotated[Path, Argument(help="Section (.h5ad) with obsm['X_gest'], as `gest embed` writes it.")],
    n_clusters: Annotated[int, Option(min=2, help="How many clusters are wanted.")],
    out: Annotated[Path, Option(help="Section to write, with obs['gest_cluster'].")],
    algorithm: Annotated[
        str, Option(help="leiden (its resolution searched), kmeans, or mclust (R's, which has to be installed).")
    ] = "leiden",
    seed: Seed = 0,
) -> None:
    """Cluster the niches of your own section."""
    import pandas as pd

    from gest.sections import open_h5ad
    from gest.tasks.cluster import cluster as clustered

    section = open_h5ad(adata)
    if "X_gest" not in section.obsm:
        raise UserError(f"{adata}: obsm has no 'X_gest'; make it with `gest embed`.")
    writable(out, ".h5ad")
    groups = clustered(section.obsm["X_gest"], n_clusters, algorithm=algorithm, seed=seed)
    section.obs["gest_cluster"] = pd.Categorical(groups.astype(str))
    write_whole(out, section.write_h5ad)
    log.info("%s: obs['gest_cluster'] holds %d clusters of %d cells", out, len(set(groups)), len(groups))
