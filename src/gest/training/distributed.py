"""Several processes that train one model, one per GPU.

Every process runs the same loop on its shard of each batch. A sum over the processes is the same, bit for bit, in each
of them, and so are the updated weights. Only the first process writes and prints. `launch` starts the processes.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from gest.errors import UserError, exit_code

T = TypeVar("T")
# Long enough for work during which the others wait: reading sections from a slow disk, writing a checkpoint.
_TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The processes that train together, as one of them sees the group."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @property
    def shard(self) -> slice:
        """The part of shared work that this process does, such as windows of a batch."""
        return slice(self.rank, None, self.size)

    def sum(self, *tensors: Tensor) -> None:
        """Sum tensors of one type over all processes, in place, in one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def wait(self) -> None:
        """Wait until all processes have called this method."""
        self.sum(torch.zeros(1))

    def compute_on_first(self, compute: Callable[[], T]) -> T:
        """Compute a value in the first process and send it to all."""
        if self.size == 1:
            return compute()
        values = [compute() if self.is_first else None]
        distributed.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]


SINGLE_PROCESS = ProcessGroup()


@contextmanager
def process_group(expected: int | None = None) -> Iterator[ProcessGroup]:
    """Join the processes that `gest.training.launch` or torchrun started, if any.

    If processes fail together, the first one to fail reports the error and the others end silently.

    Parameters
    ----------
    expected
        How many processes there must be; None: as many as there are.

    Raises
    ------
    UserError
        The number of processes is not `expected`, or on this machine they are fewer than the GPUs that Slurm granted,
        or more than the GPUs.
    """
    defaults = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
    rank, size, local_rank, local_size = (int(os.environ.get(name, value)) for name, value in defaults.items())
    gpus = torch.cuda.device_count()
    _check_counts(size, expected=expected or size, local_size=local_size, gpus=gpus)
    if slurm_gpus() and not gpus and rank == 0:
        warnings.warn(
            f"pretrain: Slurm granted {slurm_gpus()} GPUs, but PyTorch {torch.__version__} can use none, so training "
            "runs on the CPU; check with `nvidia-smi` whether the driver is too old.",
            stacklevel=3,
        )
    device = f"cuda:{local_rank}" if gpus else "cpu"
    if size == 1:
        yield ProcessGroup(device=device)
        return
    if gpus:
        torch.cuda.set_device(device)
    store, *_ = next(distributed.rendezvous("env://", timeout=_TIMEOUT))
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_TIMEOUT)
    try:
        yield ProcessGroup(rank=rank, size=size, device=device)
    except Exception as error:
        with suppress(distributed.DistNetworkError):  # the store may have ended with the launcher
            if store.add("gest/failed", 1) > 1:
                sys.exit(exit_code(error))
        if rank:
            print(file=sys.stderr)  # below the progress bar of the first process
        raise
    finally:
        distributed.destroy_process_group()


def _check_counts(size: int, *, expected: int, local_size: int, gpus: int) -> None:
    """Raise UserError if processes and GPUs do not match.

    `local_size` and `gpus` are the numbers of processes and GPUs of this machine.
    """
    if size != expected:
        raise UserError(
            f"pretrain: {size} processes started, but --processes asks for {expected}; leave out torchrun, which "
            "--processes replaces, or let it start as many."
        )
    if local_size < slurm_gpus():
        raise UserError(
            f"pretrain: Slurm granted {slurm_gpus()} GPUs on this machine, but {local_size} "
            f"process{'es' * (local_size > 1)} started; set --processes to the number of GPUs of the job, or omit it."
        )
    if 0 < gpus < local_size:
        raise UserError(
            f"pretrain: {local_size} processes started on this machine, but it has {gpus} visible "
            f"GPU{'s' * (gpus > 1)}; every process needs a GPU."
        )


def slurm_gpus() -> int:
    """Return how many GPUs of this machine Slurm granted the job; 0 without Slurm."""
    return int(os.environ.get("SLURM_GPUS_ON_NODE", 0))
