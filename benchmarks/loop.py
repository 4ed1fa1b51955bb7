"""Measure the time that `gest.pretrain` spends around the training step.

A step lasts from the call for its losses to the end of the optimiser; everything else (waiting for windows, copying,
logging, saving) is around it. Meanwhile, a thread draws, orders and bins the windows of the next step; its time is
reported separately. Saving and logging happen every few steps here, so that they can be timed; their share is computed
for the interval of the default configuration. On a GPU, the share of the step is the GPU's utilisation.

    python benchmarks/loop.py
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inputs import random_section, random_vocabulary
from measuring import devices, machine, options, write
from torch.optim.optimizer import register_optimizer_step_post_hook

import gest
from gest.config import PretrainingConfig
from gest.training import step as training_step
from gest.training.batches import Windows
from gest.training.checkpoint import Checkpoints

SECTIONS, CELLS = 4, 20_000


class Clock:
    """Record the seconds of functions and of training steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.started = 0.0

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that also records the seconds of every call."""

        def timed(*arguments: Any, **settings: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **settings)
            self.seconds[name].append(time.perf_counter() - start)
            return result

        return timed

    def begin(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose calls mark the beginning of a step."""

        def starting(*arguments: Any, **settings: Any) -> Any:
            self.started = time.perf_counter()
            return function(*arguments, **settings)

        return starting

    def end(self, *_: Any) -> None:
        """Mark the end of a step, as a hook of the optimiser."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds["step"].append(time.perf_counter() - self.started)
        self.seconds["ended"].append(time.perf_counter())


def measure(steps: int, windows: int, save_every: int, window: float) -> list[dict]:
    """Train, and measure where the seconds of a step go."""
    settings = {
        "window": window,
        "pretraining": {
            "steps": steps,
            "batch_size": windows,
            "warmup_steps": 1,
            "checkpoint_every": save_every,
            "validate_every": save_every,
        },
    }
    clock = Clock()
    training_step.window_losses = clock.begin(training_step.window_losses)
    Windows.batch = clock.around("windows", Windows.batch)
    Checkpoints.save = clock.around("saving", Checkpoints.save)
    register_optimizer_step_post_hook(clock.end)
    sections = [random_section(CELLS, seed=i) for i in range(SECTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        gest.pretrain(sections, random_vocabulary(), settings, out=Path(folder, "model"))
    return account(clock.seconds, save_every=save_every)


def account(seconds: dict[str, list[float]], *, save_every: int) -> list[dict]:
    """Divide the time of a step into parts.

    What happens at intervals is spread over all steps. The first step is left out.

    Parameters
    ----------
    seconds
        Durations of every `step`, `windows` and `saving`, and the times at which steps `ended`.
    save_every
        Number of steps from one that saves and logs to the next.
    """
    plan = PretrainingConfig()
    between = np.diff(seconds["ended"])  # from the end of one step to that of the next
    around = between - seconds["step"][1:]
    saved = np.arange(1, len(between) + 1) % save_every == 0  # step i saves before step i + 1 ends
    usual = np.median(around[~saved])
    at_intervals = (np.median(around[saved]) - usual) / plan.checkpoint_every
    parts = {"step": np.median(seconds["step"][1:]), "around it": usual, "saving and logging": at_intervals}
    total = sum(parts.values())
    parts["windows, in a thread"] = np.median(seconds["windows"][1 : len(between) + 1])
    return [{"part": name, "ms": 1e3 * value, "share": value / total} for name, value in parts.items()]


def main() -> None:
    """Measure on the device that `gest.pretrain` uses."""
    arguments = options(__doc__).parse_args()
    size = (7, 2, 3, 150.0) if arguments.quick else (31, 4, 5, 600.0)
    write("loop", [row | machine(devices()[-1]) for row in measure(*size)], quick=arguments.quick)


if __name__ == "__main__":
    main()
