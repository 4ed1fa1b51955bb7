"""Save figures reproducibly: the same figure gives the same bytes."""

import io
import logging
import os
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from gest.utils.files import whole_file

DPI = 300
logging.getLogger("fontTools").setLevel(logging.WARNING)  # it logs every glyph
# Dates and versions of programs are left out: they differ between runs although the figure does not.
_METADATA = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def save(figure: Figure, *paths: str | os.PathLike) -> None:
    """Write a figure to each path, as PNG (300 dpi) or PDF (with editable text)."""
    for path in map(Path, paths):
        kind = path.suffix.removeprefix(".")
        buffer = io.BytesIO()
        with mpl.rc_context({"pdf.fonttype": 42}):  # TrueType: drawing programs can edit the text
            figure.savefig(buffer, format=kind, dpi=DPI, metadata=_METADATA[kind])
        with whole_file(path) as partial:
            partial.write_bytes(buffer.getvalue())
