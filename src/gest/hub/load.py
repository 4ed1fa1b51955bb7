"""Load a model or an annotator from a folder, an archive, an address or a hub."""

import os

from gest.hub.locate import local_folder
from gest.model import GeST, read_model
from gest.tasks.annotation.annotator import Annotator, read_annotator


def load(model_dir: str | os.PathLike) -> GeST | Annotator:
    """Read a model or an annotator, on the CPU and ready to predict.

    Parameters
    ----------
    model_dir
        A folder, a `.zip` or `.tar` of an exported one, the address of either, or `hf://OWNER/NAME`
        (`gest.hub.locate.local_folder`). Where there is `SHA256SUMS`, every file is verified.

    Raises
    ------
    UserError
        The directory or one of its files is missing, or they do not belong together.
    """
    folder = local_folder(model_dir)
    return read_annotator(folder) if (folder / "annotator.json").is_file() else read_model(folder)


def load_model(model_dir: str | os.PathLike) -> GeST:
    """Load a model that is no annotator; see `load`."""
    return read_model(local_folder(model_dir))


def load_annotator(model_dir: str | os.PathLike) -> Annotator:
    """Load an annotator; see `load`."""
    return read_annotator(local_folder(model_dir))
