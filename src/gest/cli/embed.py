"""`gest embed`: embed the niche of every cell."""

from pathlib import Path
from typing import Annotated

from typer import Option

import gest
from gest.cli.app import app, format_examples, log
from gest.cli.options import BatchSize, Device, DryRun, ModelFolder, OwnSection, Seed, check_writable, write_whole
from gest.errors import naming


@app.command(
    epilog=format_examples(
        "gest embed mine.h5ad --model model --out niches.h5ad",
        "    then in scanpy: sc.pp.neighbors(adata, use_rep='X_gest')",
        "gest embed mine.h5ad --model model --window 200 --out niches.h5ad",
        "    the niche is what lies within 100 µm of the cell, in x and in y",
    )
)
def embed(
    adata: OwnSection,
    model: ModelFolder,
    out: Annotated[Path, Option(help="Section to write (.h5ad): yours, with obsm['X_gest'].")],
    window: Annotated[
        float | None, Option(help="Side of the square around a cell, µm; default and maximum: the model's window.")
    ] = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Embed the niche of every cell (section 3.5)."""
    from gest.data.sources.open_file import open_file
    from gest.tasks.dry_run import plan

    check_writable(out, ".h5ad")
    section, trained = open_file(adata), gest.load(model, expected=gest.GeST).to(device)
    with naming(adata):
        if dry_run:
            log.info("%s would hold the niches of %s", out, plan(section, trained, window=window))
            return
        result = gest.embed(section, trained, window=window, batch_size=batch_size, seed=seed)
    write_whole(out, result.write_h5ad)
    log.info("%s: obsm['X_gest'] holds the niches of %d cells, %d numbers each", out, *result.obsm["X_gest"].shape)
