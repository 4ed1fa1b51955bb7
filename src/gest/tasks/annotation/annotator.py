"""The model that annotates niches: GeST, a pool over a niche's outputs, and a linear layer (section 3.5, Figure 3b).

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

POOLS = ("mean", "max")


def pool_outputs(outputs: Tensor, lengths: Tensor, pool: str) -> Tensor:
    """Aggregate the real outputs of niches, the target's own among them (decision 15): (B, N, D), (B,) -> (B, D)."""
    padding = (torch.arange(outputs.shape[1], device=outputs.device) >= lengths[:, None])[..., None]
    if pool == "max":
        return outputs.masked_fill(padding, float("-inf")).amax(1)
    return outputs.masked_fill(padding, 0).sum(1) / lengths[:, None]


class Annotator(nn.Module):
    """A model with a linear layer over its pooled outputs; `gest.fit_annotator` makes one.

    Parameters
    ----------
    model
        Taken as it is, not copied.
    classes
        C names, in the order of the logits.
    label
        The column of `obs` that was learnt.
    pool
        `mean` or `max` over the outputs of a niche.
    """

    def __init__(self, model: GeST, classes: Sequence[str], *, label: str, pool: str) -> None:
        super().__init__()
        self.model, self.classes, self.label, self.pool = model, list(classes), label, pool
        self.linear = nn.Linear(model.config.model.width, len(self.classes))
        self.metrics: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    def forward(self, tokens: Tensor, bins: Tensor, lengths: Tensor) -> Tensor:
        """Logits (B, C) of niches as `GeST.niche` takes them: (B, N), (B, N, 2) and (B,)."""
        return self.linear(pool_outputs(self.model.niche(tokens, bins, lengths), lengths, self.pool))

    def save(self, folder: str | os.PathLike) -> None:
        """Write a directory that is complete by itself: the fine-tuned model in `model/`, the layer, and the classes.

        Raises
        ------
        UserError
            There is something else of that name.
        """
        from safetensors.torch import save_file

        about = {"label": self.label, "pool": self.pool, "classes": self.classes, "metrics": self.metrics}
        with whole_folder(folder, "annotator.json") as partial:
            self.model.save(partial / "model")
            save_file(self.linear.state_dict(), partial / "annotator.safetensors")
            (partial / "annotator.json").write_text(json.dumps(about, indent=2) + "\n")


def read_annotator(folder: Path) -> Annotator:
    """Read the directory of an annotator on this machine, on the CPU and ready to predict.

    Raises
    ------
    UserError
        The directory or one of its files is missing, or they do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name in ("annotator.json", "annotator.safetensors"):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: '{name}' is missing from the annotator; make it with `gest fit-annotator`.")
    try:
        about = json.loads((folder / "annotator.json").read_text())
        weights = load_file(folder / "annotator.safetensors")
        annotator = Annotator(read_model(folder / "model"), about["classes"], label=about["label"], pool=about["pool"])
        annotator.linear.load_state_dict(weights)
    except (ValueError, KeyError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{folder}: the annotator is damaged ({error}); make it anew.") from error
    annotator.metrics = about["metrics"]
    return annotator.eval()
