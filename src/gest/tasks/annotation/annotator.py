"""The model that labels niches: GeST, pooling of a niche's outputs, and a linear layer (section 3.5, Figure 3b).

Shapes: B niches of N cells, D width, C classes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gest.errors import UserError
from gest.model import GeST, read_model
from gest.utils.files import whole_folder

MARKER = "annotator.json"
"""The file by which the directory of an annotator is recognised."""
POOLS = ("mean", "max")


def pool_outputs(outputs: Tensor, lengths: Tensor, pool: str) -> Tensor:
    """Pool the outputs (B, N, D) of niches of these lengths to (B, D) (decision 15)."""
    padding = (torch.arange(outputs.shape[1], device=outputs.device) >= lengths[:, None])[..., None]
    if pool == "max":
        return outputs.masked_fill(padding, float("-inf")).amax(1)
    return outputs.masked_fill(padding, 0).sum(1) / lengths[:, None]


class Annotator(nn.Module):
    """A model with a linear layer on its pooled outputs; see `gest.fit_annotator`.

    Parameters
    ----------
    model
        Used directly, not copied.
    classes
        C names of classes, in the order of the logits.
    label
        The column of `obs` that holds these classes.
    pool
        `mean` or `max` over the outputs of a niche.

    Examples
    --------
    >>> import gest
    >>> from gest.testing.example import example
    >>> section, model = example()
    >>> annotator = gest.Annotator(model, ["cortex", "hippocampus"], label="region", pool="mean")
    >>> gest.annotate(section, annotator).obs["gest_region"].cat.categories.tolist()
    ['cortex', 'hippocampus']
    """

    def __init__(self, model: GeST, classes: Sequence[str], *, label: str, pool: str) -> None:
        super().__init__()
        self.model, self.classes, self.label, self.pool = model, list(classes), label, pool
        self.linear = nn.Linear(model.config.model.width, len(self.classes))
        self.metrics: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.model.device

    def forward(self, tokens: Tensor, bins: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits (B, C) of niches; the parameters are those of `GeST.niche`."""
        return self.linear(pool_outputs(self.model.niche(tokens, bins, lengths), lengths, self.pool))

    def save(self, folder: str | os.PathLike) -> None:
        """Write the annotator as a directory, with its fine-tuned model in `model/`.

        Raises
        ------
        UserError
            The folder exists and is not an annotator.
        """
        from safetensors.torch import save_file

        description = {"label": self.label, "pool": self.pool, "classes": self.classes, "metrics": self.metrics}
        with whole_folder(folder, MARKER) as partial:
            self.model.save(partial / "model")
            save_file(self.linear.state_dict(), partial / "annotator.safetensors")
            (partial / MARKER).write_text(json.dumps(description, indent=2) + "\n")


def read_annotator(folder: Path) -> Annotator:
    """Read the directory of an annotator onto the CPU, in evaluation mode.

    Raises
    ------
    UserError
        The directory or one of its files is missing or damaged, or the files do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name in (MARKER, "annotator.safetensors"):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: '{name}' is missing from the annotator; create it with `gest fit-annotator`.")
    try:
        description = json.loads((folder / MARKER).read_text())
        weights = load_file(folder / "annotator.safetensors")
        model = read_model(folder / "model")
        annotator = Annotator(model, description["classes"], label=description["label"], pool=description["pool"])
        annotator.linear.load_state_dict(weights)
    except (ValueError, KeyError, SafetensorError, RuntimeError) as error:
        raise UserError(
            f"{folder}: the annotator is damaged ({error}); create it again with `gest fit-annotator`."
        ) from error
    annotator.metrics = description["metrics"]
    return annotator.eval()


def check_kind(model: object, expected: type[GeST] | type[Annotator], where: str | os.PathLike) -> None:
    """Raise UserError if a model is not of the expected class.

    Parameters
    ----------
    where
        Where the model is from: the beginning of the message.
    """
    if isinstance(model, expected):
        return
    if expected is Annotator:
        raise UserError(
            f"{where}: expected an Annotator, got {type(model).__name__}; create one with `gest fit-annotator`."
        )
    raise UserError(
        f"{where}: expected GeST, got {type(model).__name__}; of an annotator, use the folder 'model' inside it."
    )
