"""`gest generate`: generate the unseen cells of a section."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

import gest
from gest.cli.app import app, format_examples, log
from gest.cli.options import BatchSize, Device, DryRun, ModelFolder, OwnSection, Seed, check_writable, write_whole
from gest.errors import UserError, naming

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData


@app.command(
    epilog=format_examples(
        "gest generate mine.h5ad --model model --unseen hidden --out generated.h5ad",
        "    from all other cells, generates those whose obs['hidden'] is true",
        "gest generate mine.h5ad --model model --unseen region=L5 --out generated.h5ad",
        "gest generate mine.h5ad --model model --unseen-circle 1850 3300 150 --out generated.h5ad",
        "    generates the cells at most 150 µm from x = 1850 µm, y = 3300 µm",
    )
)
def generate(
    adata: OwnSection,
    model: ModelFolder,
    out: Annotated[Path, Option(help="Section to write (.h5ad): yours, with layers['gest'] and obs['gest_round'].")],
    unseen: Annotated[
        str | None,
        Option(help="Cells to generate: a boolean column of obs, or COLUMN=VALUE. The cells' own counts are not read."),
    ] = None,
    unseen_circle: Annotated[
        tuple[float, float, float] | None, Option(help="Cells to generate, instead of --unseen: X Y RADIUS, µm.")
    ] = None,
    mode: Annotated[
        str, Option(help="weighted (mean over the meta cells) or picking (the most probable one).")
    ] = "weighted",
    batch_size: BatchSize = None,
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Generate unseen cells from the cells around them (paper, A.2)."""
    from gest.data.sources.open_file import open_file
    from gest.tasks.dry_run import plan
    from gest.tasks.generation.generate import check_mode

    if (unseen is None) == (unseen_circle is None):
        raise UserError("generate: give exactly one of --unseen and --unseen-circle.")
    check_writable(out, ".h5ad")
    section, trained = open_file(adata), gest.load(model, expected=gest.GeST).to(device)
    check_mode(mode, trained)
    with naming(adata):
        hidden = _find_unseen(section, unseen, unseen_circle)
        if dry_run:
            log.info("%s would hold %d cells, generated from %s", out, hidden.sum(), plan(section[~hidden], trained))
            return
        result = gest.generate(section, trained, unseen=hidden, mode=mode, batch_size=batch_size, seed=seed)
    write_whole(out, result.write_h5ad)
    summary = result.uns["gest"]
    log.info("%s: layers['gest'] holds %d generated cells; rounds: %d", out, summary["n_unseen"], summary["n_rounds"])


def _find_unseen(section: "AnnData", unseen: str | None, circle: tuple[float, float, float] | None) -> "np.ndarray":
    """Return which cells the options select, (n,) booleans."""
    from gest.roi import Circle, Label, cells_of
    from gest.tasks.generation.generate import resolve_unseen

    if circle is not None:
        return resolve_unseen(section, cells_of(section, Circle(*circle)))
    if "=" in unseen and unseen not in section.obs:
        column, value = unseen.split("=", 1)
        return resolve_unseen(section, cells_of(section, Label(column, value)))
    return resolve_unseen(section, unseen)
