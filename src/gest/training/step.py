"""One step of a training: lower the loss of a batch that the processes share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gest.config import PretrainingConfig
from gest.model import GeST
from gest.training.distributed import ProcessGroup
from gest.training.objective import level_weights, window_losses
from gest.training.state import TrainingState


def make_optimiser(model: GeST, plan: PretrainingConfig) -> torch.optim.AdamW:
    """Create the optimiser of a training; every step sets its learning rate."""
    groups = parameter_groups(model, plan.weight_decay)
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98), fused=True)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Group parameters: weight decay for matrices, none for biases and norms."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def update(
    state: TrainingState,
    tokens: Tensor,
    bins: Tensor,
    lengths: Tensor,
    *,
    learning_rate: float,
    seed: int,
    group: ProcessGroup,
) -> Tensor:
    """Update the weights by the gradient of a batch's loss (Eq. 10).

    Parameters
    ----------
    state
        The state to update; its `step` is already the number of this step.
    tokens, bins
        (b, N), or expression (b, N, T), and (b, N, 2), of this process's windows.
    lengths
        (B,) of the windows of all processes, on the CPU.

    Returns
    -------
    (4,) mean losses of the whole batch, one per level; without quantisation (1,), the squared error of expression.

    Raises
    ------
    FloatingPointError
        The loss or its gradient is not finite; the weights are not changed.
    """
    model, plan = state.model, state.model.config.pretraining
    for parameters in state.optimiser.param_groups:
        parameters["lr"] = learning_rate
    own_lengths = lengths[group.shard]
    weight = int((own_lengths - 1).sum()) / int((lengths - 1).sum())  # this process's share of the batch's targets
    if weight == 0:  # the last batch was shortened and left this process no target
        own_lengths = own_lengths.clamp(min=2)

    model.train()
    torch.manual_seed((group.rank << 48) + (seed << 32) + state.step)  # dropout, too, is a function of (seed, step)
    alphas = level_weights(model)
    with mixed_precision(model.device):
        losses = window_losses(model, tokens, bins, own_lengths.to(model.device)) * weight
    state.optimiser.zero_grad()
    (losses * alphas).sum().backward()  # Eq. 10
    losses = losses.detach()
    group.sum(losses, *(parameter.grad for parameter in model.parameters()))
    loss = (losses * alphas).sum()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
    if not torch.isfinite(loss + norm):
        windows = find_broken_windows(model, tokens, bins, own_lengths, group)
        raise FloatingPointError(
            f"pretrain: the loss is {loss.item()}, its gradient's norm {norm.item()}, at step {state.step} (windows "
            f"{windows} of seed {seed}); nothing was updated. Lower 'pretraining.learning_rate'."
        )
    state.optimiser.step()
    return losses


def mixed_precision(device: torch.device) -> AbstractContextManager:
    """Return a context that computes in bfloat16 on a GPU, in float32 elsewhere."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


@torch.no_grad()
def find_broken_windows(model: GeST, tokens: Tensor, bins: Tensor, lengths: Tensor, group: ProcessGroup) -> str:
    """List the windows of a batch whose loss is not finite.

    If each loss is finite, so that only their sum or its gradient is not, all windows are listed.
    """
    batch_size = model.config.pretraining.batch_size
    broken = torch.zeros(batch_size)
    lengths = lengths.to(model.device)
    losses = [window_losses(model, tokens[i : i + 1], bins[i : i + 1], lengths[i : i + 1]) for i in range(len(lengths))]
    broken[group.shard] = torch.stack([~loss.isfinite().all() for loss in losses]).float().cpu()
    group.sum(broken)
    return ", ".join(map(str, broken.nonzero().flatten().tolist())) or f"0 to {batch_size - 1}"
