"""`gest export`: write a model as a folder to share."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import app, format_examples, log


@app.command(
    epilog=format_examples(
        'gest export model shared --data "MERFISH of the mouse hypothalamus (Moffitt 2018, CC0)" --licence cc-by-4.0',
        "gest embed mine.h5ad --model https://example.org/shared --out niches.h5ad",
        "    after copying the files of `shared`, or a .zip or .tar of them, to a web server",
    )
)
def export(
    model: Annotated[str, Argument(help="Model or annotator to share: its folder.")],
    out: Annotated[Path, Argument(help="Folder to write: the model's files, README.md (the model card), SHA256SUMS.")],
    data: Annotated[str, Option(help="Data that the model was trained on, for the card.")] = "",
    licence: Annotated[str, Option(help="Licence of the weights, for the card.")] = "unknown",
) -> None:
    """Write a model as a folder to share, with a model card."""
    from gest.hub.export import export as write_export

    write_export(model, out, data=data, licence=licence)
    log.info("%s: written; read %s/README.md before you share it", out, out)
