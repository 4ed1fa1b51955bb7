"""Record what each annotation run learnt in a folder, and turn its predictions into labellings."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gest.errors import UserError
from gest.paper.scores.runs import Labelling, MethodRun, run_fields

# Fields of a run in fits.json, which names the method once for all runs.
_RUN_KEYS = ("variant", "level", "model_seed", "seed", "learnt", "seconds", "peak_mb", "version", "status")


@dataclass(frozen=True, kw_only=True)
class FittedRun(MethodRun):
    """One run of a method that learnt one level of labels.

    Its `seconds` and `peak_mb` are those of learning.
    """

    learnt: str
    """File or directory in the folder that holds what the run learnt; for the majority class, the label itself."""

    def label(self, labels: np.ndarray, *, seconds: float, peak_mb: float) -> Labelling:
        """Return a labelling of a section from predicted labels (n,).

        Its costs combine those of learning and labelling.
        """
        costs = {"seconds": self.seconds + seconds, "peak_mb": max(self.peak_mb, peak_mb)}
        return Labelling(**run_fields(self) | costs, labels=labels.astype(object))

    def fail(self, reason: str, n_cells: int) -> Labelling:
        """Return a labelling without labels, with the reason as its status."""
        labels = np.full(n_cells, "", dtype=object)
        return Labelling(**run_fields(self) | {"seconds": np.nan, "status": reason}, labels=labels)


def write_fits(method: str, fits: Sequence[FittedRun], folder: Path) -> None:
    """Write the runs of one method to fits.json in a folder."""
    records = [{key: getattr(fit, key) for key in _RUN_KEYS} for fit in fits]
    (folder / "fits.json").write_text(json.dumps({"method": method, "fits": records}, indent=1) + "\n")


def read_fits(folder: Path) -> tuple[str, list[FittedRun]]:
    """Read the method and its runs that `write_fits` wrote.

    Raise UserError if the file cannot be read.
    """
    try:
        content = json.loads((folder / "fits.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: cannot read what was learnt ({error}); create it with `gest paper learn-labels`."
        ) from error
    method = content["method"]
    return method, [FittedRun(method=method, **record) for record in content["fits"]]
