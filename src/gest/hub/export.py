"""Export a model as a folder to share: the model's files, a model card, and the hashes of both."""

import os
import shutil
from pathlib import Path

from gest.hub.card import model_card
from gest.hub.load import load
from gest.hub.locate import SUMS, local_folder, sha256_of
from gest.utils.files import whole_folder

CARD = "README.md"


def export(model_dir: str | os.PathLike, out: str | os.PathLike, *, data: str = "", licence: str = "unknown") -> Path:
    """Write a model or an annotator as a folder to share.

    The folder can be put on a web server or a hub. It holds the files of the model directory, a model card
    (`README.md`, with front matter for the Hugging Face Hub) and `SHA256SUMS`, with which `gest.load` and
    `sha256sum --check` verify the files.

    Parameters
    ----------
    model_dir
        The model or annotator: a folder, or an address that `gest.load` accepts.
    out
        The folder to write; an earlier export there is replaced.
    data
        Description of the training data, for the card.
    licence
        Licence of the weights, for the card.

    Returns
    -------
    pathlib.Path
        The folder `out`.

    Raises
    ------
    UserError
        `model_dir` is not a model, or `out` exists and is not an exported model.
    """
    source = local_folder(model_dir)
    card = model_card(load(source), data=data, licence=licence)
    with whole_folder(out, SUMS) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        (folder / CARD).write_text(card)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
        lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
        (folder / SUMS).write_text("".join(lines))
    return Path(out)
