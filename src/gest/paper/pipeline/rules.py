"""Helpers for rules: wildcard patterns, options, resources, source files and short errors."""

import os
import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from gest.errors import UserError
from gest.paper.pipeline.part import Part


def one_of(names: Iterable[str]) -> str:
    """Return a pattern that matches only these names; without names, it never matches."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def none_of(names: Iterable[str]) -> str:
    """Return a pattern that matches the name of any .h5ad file except these."""
    return rf"(?!(?:{one_of(names)})\.h5ad$)[^/]+"


def options(name: str, paths: Iterable[str]) -> list[str]:
    """Return paths as command-line options, one ``--name=path`` each."""
    return [f"--{name}={path}" for path in paths]


def growing(amount: int) -> Callable[..., int]:
    """Return a resource function: `amount` times the number of the attempt."""

    def resource(wildcards: Any, attempt: int) -> int:
        return amount * attempt

    return resource


def node_launcher(resources: Any, threads: int) -> str:
    """Return the srun command that starts one task per node; empty for one node."""
    nodes = resources.get("nodes", 1)
    if nodes == 1:
        return ""
    per_task = f"--ntasks-per-node=1 --gpus-per-node={resources.gpu // nodes} --cpus-per-task={threads}"
    return f"{resources.mpi} --nodes={nodes} --ntasks={nodes} {per_task} --kill-on-bad-exit=1"


def source_file(cached: Any) -> Any:
    """Return the original of a `workflow.source_path` if it is local, else the copy.

    Snakemake copies the file into a cache, under a path that changes with every start. The path of the original is
    relative if it is below the working directory, so that results are not remade after the checkout is moved.
    """
    origin = getattr(cached, "flags", {}).get("sourcecache_entry")
    if origin is None or not os.path.exists(origin):
        return cached
    path = os.path.normpath(origin)
    if not os.path.exists(path):
        path = os.path.realpath(origin)  # the workflow is reached through a link
    relative = os.path.relpath(path)
    if not relative.startswith(os.pardir):
        path = relative
    local = cached.new_from(path)
    local.flags = {"sourcecache_entry": path, "local": True}  # Snakemake neither adds a prefix nor uses remote storage
    return local


class Stopping:
    """A `Run` whose user errors stop Snakemake with one sentence.

    Snakemake prints a traceback for every exception of an input function except SystemExit.
    """

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if callable(value):
            return _stopping(value)
        return Stopping(value) if isinstance(value, Part) else value


def _stopping(function: Callable) -> Callable:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            raise SystemExit(f"Error: {error}") from None

    return call
