"""Load a model or an annotator from a folder, an archive, a url or the Hugging Face Hub."""

import os
from typing import TypeVar, overload

from gest import model
from gest.hub.locate import local_folder
from gest.model import GeST, read_model
from gest.tasks.annotation import annotator
from gest.tasks.annotation.annotator import Annotator, check_kind, read_annotator

Model = TypeVar("Model", GeST, Annotator)


@overload
def load(model_dir: str | os.PathLike) -> GeST | Annotator: ...


@overload
def load(model_dir: str | os.PathLike, *, expected: type[Model]) -> Model: ...


def load(model_dir: str | os.PathLike, *, expected: type[Model] | None = None) -> GeST | Annotator:
    """Load a model or an annotator onto the CPU, in evaluation mode.

    Parameters
    ----------
    model_dir
        A folder, a `.zip` or `.tar` of an exported folder, the URL of either, or `hf://OWNER/NAME`
        (`gest.hub.locate.local_folder`). If it has `SHA256SUMS`, every file listed there is verified.
    expected
        The class that the caller needs, `GeST` or `Annotator`; None accepts either.

    Raises
    ------
    UserError
        The model cannot be fetched, one of its files is missing, damaged or has another hash, the files do not belong
        together, or the model is of the other class.

    Examples
    --------
    >>> import gest
    >>> from gest.testing.example import example
    >>> section, model = example()
    >>> model.save("model")
    >>> gest.load("model").config == model.config
    True
    """
    folder = local_folder(model_dir)
    holds_model, holds_annotator = (folder / model.MARKER).is_file(), (folder / annotator.MARKER).is_file()
    # A folder with neither marker is read as the expected class, so that the error names the missing file.
    if holds_annotator or (expected is Annotator and not holds_model):
        loaded = read_annotator(folder)
    else:
        loaded = read_model(folder)
    if expected is not None:
        check_kind(loaded, expected, model_dir)
    return loaded
