"""Batches of training windows, each a pure function of (seed, step)."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from gest.config import Config
from gest.errors import UserError
from gest.training.sampling import draw_window
from gest.windows import Grid, Tokens, stack

FIRST_VALIDATION_STEP = 2**31
"""Steps from this number on are for validation: their windows are never rotated."""


class Windows:
    """Draw training windows: window i of step t is a pure function of (seed, t, i).

    Parameters
    ----------
    states
        (K, P) states of the meta cells, for thinning windows (`gest.training.sampling.thin`); None: no thinning.
    """

    def __init__(
        self, sections: Sequence[Tokens], config: Config, *, seed: int, states: np.ndarray | None = None
    ) -> None:
        self.sections = [section for section in sections if len(section.xy) >= 2]
        if not self.sections:
            raise UserError("pretrain: no section has two cells; give at least one section with cells.")
        self.grids = [Grid(section.xy, config.window) for section in self.sections]
        sizes = np.array([len(section.xy) for section in self.sections], dtype=np.float64)
        self.probabilities = sizes / sizes.sum()
        self.config, self.seed, self.states = config, seed, states

    def draw(self, step: int, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one window: tokens (N,), or expression (N, T), and bins (N, 2)."""
        rng = np.random.default_rng((self.seed, step, i))
        number = rng.choice(len(self.sections), p=self.probabilities)
        is_thinned = self.states is not None and rng.random() < self.config.pretraining.thinning
        section = self.sections[number]
        cells, bins = draw_window(
            section,
            self.grids[number],
            self.config,
            rotate=self.config.pretraining.rotate and step < FIRST_VALIDATION_STEP,
            states=self.states if is_thinned else None,
            rng=rng,
        )
        if self.config.model.quantised:
            return section.tokens[cells], bins
        return section.expression[cells].toarray(), bins

    def batch(self, step: int, numbers: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the windows of a step that have these numbers.

        Returns
        -------
        Tokens (B, N), or expression (B, N, T), and bins (B, N, 2), padded at the end, on the device; lengths (B,) on
        the CPU, where they are summed.
        """
        tokens, bins, lengths = pad([self.draw(step, i) for i in numbers], torch.device("cpu"))
        return tokens.to(device), bins.to(device), lengths

    def prefetch(
        self, step: int, numbers: Sequence[int], device: torch.device
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the batch of a step and those of all later steps.

        A thread draws the next batch while the model learns from the current one.
        """
        with ThreadPoolExecutor(1) as thread:
            future = thread.submit(self.batch, step, numbers, device)
            while True:
                batch, step = future.result(), step + 1
                future = thread.submit(self.batch, step, numbers, device)
                yield batch


def pad(windows: Sequence[tuple[np.ndarray, np.ndarray]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Pad windows of tokens (N,), or expression (N, T), and bins (N, 2) to a batch.

    The result is that of `Windows.batch`, except that the lengths are on the device as well.
    """
    lengths = torch.tensor([len(bins) for _, bins in windows])
    tokens, bins = (torch.from_numpy(stack(rows)) for rows in zip(*windows, strict=True))
    return tokens.to(device), bins.to(device), lengths.to(device)
