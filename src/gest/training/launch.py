"""Start several training processes with one command, and end them together."""

import ctypes
import logging
import os
import signal
import sys
from typing import Any

from gest.errors import UserError
from gest.training.distributed import slurm_gpus

_LAUNCHER = "GEST_LAUNCHER"  # environment variable: the id of the process that started the others


def launch(processes: int | None) -> None:
    """Run the current command again in several processes, and exit with their status.

    In the processes that were started, and if one process is enough, the function returns. On several machines Slurm
    must start the command once on each: `srun --nodes=2 --ntasks-per-node=1 gest pretrain ...`.

    Parameters
    ----------
    processes
        Number of processes on all machines together; None: one for each GPU that Slurm granted, at least one.

    Raises
    ------
    UserError
        The machines would not have equally many processes, or Slurm started the command more than once on one of them.
    """
    machines = int(os.environ.get("SLURM_STEP_NUM_NODES", 1))
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    processes = processes or max(machines * slurm_gpus(), 1)
    if "WORLD_SIZE" in os.environ:
        _end_with_launcher()
        return
    if processes == 1:
        return
    if tasks != machines or processes % machines:
        raise UserError(
            f"pretrain: Slurm started {tasks} tasks on {machines} machines for {processes} processes; start one task "
            "on each machine (srun --ntasks-per-node=1), and equally many processes on all."
        )
    _start_and_exit(processes, machines)


def _start_and_exit(processes: int, machines: int) -> None:
    """Start this machine's share of the processes, wait for them, and exit."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    local_size = processes // machines
    threads = int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
    os.environ["OMP_NUM_THREADS"] = str(max(threads // local_size, 1))
    os.environ[_LAUNCHER] = str(os.getpid())
    logging.disable()  # the processes themselves report what matters
    config = LaunchConfig(
        min_nodes=machines,
        max_nodes=machines,
        nproc_per_node=local_size,
        max_restarts=0,  # restarting a job is up to the scheduler
        shutdown_timeout=100,  # s to save a checkpoint, of the two minutes that the scheduler allows
        signals_to_handle="SIGTERM,SIGUSR1,SIGINT,SIGHUP,SIGQUIT",
        **_rendezvous(machines),
    )
    try:
        elastic_launch(config, sys.executable)("-m", "gest.cli", *sys.argv[1:])
    except SignalException:  # the signal was passed on, and all processes have ended
        sys.exit(os.EX_TEMPFAIL)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            print(f"error: pretrain: process {rank} of {processes} was ended by {name}.", file=sys.stderr)
        sys.exit(max(failure.exitcode, 1))
    sys.exit()


def _end_with_launcher() -> None:
    """Have this process receive SIGTERM if its launcher is killed.

    Nothing else would end the process.
    """
    launcher = os.environ.get(_LAUNCHER)
    if launcher is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != int(launcher):  # the launcher was killed before the line above
        sys.exit(os.EX_TEMPFAIL)


def _rendezvous(machines: int) -> dict[str, Any]:
    """Return the settings by which the launchers of all machines find each other."""
    if machines == 1:
        return {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": str(os.getpid())}
    # They meet at the address of the machine where srun was called, which Slurm gives to all of them.
    job = os.environ["SLURM_JOB_ID"]
    return {
        "rdzv_backend": "static",
        "rdzv_endpoint": f"{os.environ['SLURM_LAUNCH_NODE_IPADDR']}:{15000 + int(job) % 10000}",
        "rdzv_configs": {"rank": int(os.environ["SLURM_NODEID"])},
        "run_id": job,
    }
