"""Many processes that train one model, one to a GPU: how they start, who they are, what they add up, how they end.

All of them run the same loop, each on its own share of every batch. What they add up comes out the same, bit for bit,
in every one, and with it the next weights; the first process alone writes and prints.
"""

import ctypes
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from gest.errors import UserError, exit_code

T = TypeVar("T")
# For what one process may do while the others wait: read sections from a slow disk, write a state.
_PATIENCE = timedelta(minutes=30)
_LAUNCHER = "GEST_LAUNCHER"  # the process that `launch` started others from


@dataclass(frozen=True)
class Processes:
    """One process among those that train together; by itself where nothing else is said."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @property
    def mine(self) -> slice:
        """Which of the things that are shared out, such as a batch's windows, are this process's."""
        return slice(self.rank, None, self.size)

    def sum(self, *tensors: Tensor) -> None:
        """Add up tensors of one type over all processes, in place, in one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def from_first(self, made: Callable[[], T]) -> T:
        """Have the first process make something, and hand it to all."""
        if self.size == 1:
            return made()
        handed = [made() if self.first else None]
        distributed.broadcast_object_list(handed, device=torch.device("cpu"))
        return handed[0]


ALONE = Processes()


@contextmanager
def joined(asked: int | None = None) -> Iterator[Processes]:
    """Join the processes that `launch`, or torchrun, started together with this one; alone where none did.

    Of processes that fail together the first one to fail tells; the others end without a word.

    Parameters
    ----------
    asked
        How many processes there have to be; None: as many as there are.

    Raises
    ------
    UserError
        There are fewer processes than were asked for or than GPUs that Slurm granted, or more than GPUs.
    """
    names = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
    rank, size, local_rank, here = (int(os.environ.get(name, alone)) for name, alone in names.items())
    gpus = torch.cuda.device_count()
    _check(size, asked or size, here, gpus, _granted())
    if _granted() and not gpus and rank == 0:
        warnings.warn(
            f"pretrain: Slurm granted {_granted()} GPUs, PyTorch {torch.__version__} can use none, and the CPU trains; "
            "`nvidia-smi` says whether the driver is too old for it.",
            stacklevel=3,
        )
    device = f"cuda:{local_rank}" if gpus else "cpu"
    if size == 1:
        yield Processes(device=device)
        return
    if gpus:
        torch.cuda.set_device(device)
    store, *_ = next(distributed.rendezvous("env://", timeout=_PATIENCE))
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        yield Processes(rank, size, device)
    except Exception as error:
        with suppress(distributed.DistNetworkError):  # the store ends with the launcher
            if store.add("gest/failed", 1) > 1:
                sys.exit(exit_code(error))
        if rank:
            print(file=sys.stderr)  # below the bar of the first process
        raise
    finally:
        distributed.destroy_process_group()


def _check(size: int, asked: int, here: int, gpus: int, granted: int) -> None:
    """Stop where processes and GPUs do not match; the last three are those of this machine."""
    if size != asked:
        raise UserError(
            f"pretrain: {asked} processes were asked for and {size} started; leave torchrun out, which --processes "
            "stands for, or give it as many."
        )
    if here < granted:
        raise UserError(
            f"pretrain: Slurm granted {granted} GPUs on this machine and {here} process{'es' * (here > 1)} started; "
            "give --processes the number of GPUs of the job, or leave it out."
        )
    if 0 < gpus < here:
        raise UserError(
            f"pretrain: {here} processes started on this machine and {gpus} GPU{'s' * (gpus > 1)} can be seen; every "
            "process needs one of its own."
        )


def launch(processes: int | None) -> None:
    """Run this very command in several processes and end as they do; return in those, or where one does.

    On several machines Slurm starts it once on each: `srun --nodes=2 --ntasks-per-node=1 gest pretrain ...`.

    Parameters
    ----------
    processes
        How many, over all machines; None: one for each GPU that Slurm granted, or one.

    Raises
    ------
    UserError
        The machines cannot have equally many processes, or Slurm started the command more than once on them.
    """
    machines, tasks = (int(os.environ.get(f"SLURM_STEP_NUM_{what}", 1)) for what in ("NODES", "TASKS"))
    processes = processes or max(machines * _granted(), 1)
    if "WORLD_SIZE" in os.environ:
        _end_with(os.environ.get(_LAUNCHER))
        return
    if processes == 1:
        return
    if tasks != machines or processes % machines:
        raise UserError(
            f"pretrain: Slurm started {tasks} tasks on {machines} machines for {processes} processes; start one task "
            "on each machine (srun --ntasks-per-node=1), and as many processes on one as on the other."
        )
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    here = processes // machines
    threads = int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
    os.environ["OMP_NUM_THREADS"] = str(max(threads // here, 1))
    os.environ[_LAUNCHER] = str(os.getpid())
    logging.disable()  # the processes tell what there is to tell
    config = LaunchConfig(
        min_nodes=machines,
        max_nodes=machines,
        nproc_per_node=here,
        max_restarts=0,  # what restarts a job is the scheduler
        shutdown_timeout=100,  # of the two minutes that the scheduler gives: what a process may take for its state
        signals_to_handle="SIGTERM,SIGUSR1,SIGINT,SIGHUP,SIGQUIT",
        **_rendezvous(machines),
    )
    try:
        elastic_launch(config, sys.executable)("-m", "gest.cli", *sys.argv[1:])
    except SignalException:  # it has passed the signal on, and waited for the processes to end
        sys.exit(os.EX_TEMPFAIL)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            print(f"error: pretrain: process {rank} of {processes} was ended by {name}.", file=sys.stderr)
        sys.exit(max(failure.exitcode, 1))
    sys.exit()


def _end_with(launcher: str | None) -> None:
    """Have this process stopped, as by a scheduler, when the launcher is killed: nobody else would end it."""
    if launcher is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != int(launcher):  # it was killed before
        sys.exit(os.EX_TEMPFAIL)


def _granted() -> int:
    """How many GPUs of this machine Slurm gave to the job; none where there is no Slurm."""
    return int(os.environ.get("SLURM_GPUS_ON_NODE", 0))


def _rendezvous(machines: int) -> dict[str, Any]:
    """Where the launchers of all machines find each other."""
    if machines == 1:
        return {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": str(os.getpid())}
    # The machine that srun was called on, the job's first, by the address at which the others have reached it.
    job = os.environ["SLURM_JOB_ID"]
    return {
        "rdzv_backend": "static",
        "rdzv_endpoint": f"{os.environ['SLURM_LAUNCH_NODE_IPADDR']}:{15000 + int(job) % 10000}",
        "rdzv_configs": {"rank": int(os.environ["SLURM_NODEID"])},
        "run_id": job,
    }
