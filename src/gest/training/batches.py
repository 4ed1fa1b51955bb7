"""Batches of training windows: what a step trains on is a pure function of (seed, step)."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from gest.config import Config
from gest.errors import UserError
from gest.windows import Grid, Tokens, crop, stack

VALIDATION = 2**31
"""From this step on windows are those of validation, which are never turned."""


class Windows:
    """Draws training windows: window i of step t is a pure function of (seed, t, i).

    Parameters
    ----------
    states
        (K, P) of the meta cells, by which windows may be thinned; None where they are taken as they are.
    """

    def __init__(
        self, sections: Sequence[Tokens], config: Config, *, seed: int, states: np.ndarray | None = None
    ) -> None:
        self.sections = [section for section in sections if len(section.xy) >= 2]
        if not self.sections:
            raise UserError("pretrain: no section has two cells; give at least one section with cells.")
        self.grids = [Grid(section.xy, config.window) for section in self.sections]
        sizes = np.array([len(section.xy) for section in self.sections], dtype=np.float64)
        self.share = sizes / sizes.sum()
        self.config, self.seed, self.states = config, seed, states

    def draw(self, step: int, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (N,), or expression (N, T), and bins (N, 2) of one window."""
        rng = np.random.default_rng((self.seed, step, i))
        which = rng.choice(len(self.sections), p=self.share)
        thinned = self.states is not None and rng.random() < self.config.pretraining.thinning
        section = self.sections[which]
        cells, bins = crop(
            section,
            self.grids[which],
            window=self.config.window,
            n_bins=self.config.model.position_bins,
            order=self.config.serialisation.order,
            sharpness=self.config.serialisation.sharpness,
            rotate=self.config.pretraining.rotate and step < VALIDATION,
            states=self.states if thinned else None,
            rng=rng,
        )
        if self.config.model.quantised:
            return section.tokens[cells], bins
        return section.expression[cells].toarray(), bins

    def batch(self, step: int, which: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, N), or expression (B, N, T), and bins (B, N, 2), padded at the end, of these windows of a step.

        Their lengths (B,), the third, are on the CPU, where they are counted.
        """
        tokens, bins, lengths = padded([self.draw(step, i) for i in which], torch.device("cpu"))
        return tokens.to(device), bins.to(device), lengths

    def ahead(self, step: int, which: Sequence[int], device: torch.device) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches of a step and of all after it: a thread draws the next while the model learns from this one."""
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(self.batch, step, which, device)
            while True:
                ready, step = coming.result(), step + 1
                coming = thread.submit(self.batch, step, which, device)
                yield ready


def padded(drawn: Sequence[tuple[np.ndarray, np.ndarray]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Make a batch of windows, each its tokens (N,), or expression (N, T), and bins (N, 2); see `Windows.batch`."""
    lengths = torch.tensor([len(bins) for _, bins in drawn])
    tokens, bins = (torch.from_numpy(stack(rows)) for rows in zip(*drawn, strict=True))
    return tokens.to(device), bins.to(device), lengths.to(device)
