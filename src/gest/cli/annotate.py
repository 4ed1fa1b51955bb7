"""`gest annotate`: label the cells of a section."""

from pathlib import Path
from typing import Annotated

from typer import Option

import gest
from gest.cli.app import app, format_examples, log
from gest.cli.options import BatchSize, Device, DryRun, OwnSection, Seed, check_writable, write_whole
from gest.errors import naming


@app.command(epilog=format_examples("gest annotate mine.h5ad --annotator annotator --out annotated.h5ad"))
def annotate(
    adata: OwnSection,
    annotator: Annotated[str, Option(help="Annotator: a folder from `gest fit-annotator`.")],
    out: Annotated[
        Path, Option(help="Section to write (.h5ad): yours, with obs['gest_LABEL'] and obsm['gest_LABEL_prob'].")
    ],
    batch_size: BatchSize = None,
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Label the cells of your section with an annotator."""
    from gest.data.sources.open_file import open_file
    from gest.tasks.dry_run import plan

    check_writable(out, ".h5ad")
    section, fitted = open_file(adata), gest.load(annotator, expected=gest.Annotator).to(device)
    with naming(adata):
        if dry_run:
            log.info("%s would hold obs['gest_%s'] of %s", out, fitted.label, plan(section, fitted.model))
            return
        result = gest.annotate(section, fitted, batch_size=batch_size, seed=seed)
    write_whole(out, result.write_h5ad)
    log.info("%s: obs['gest_%s'] holds the labels of %d cells", out, fitted.label, result.n_obs)
