"""List every method of every task, including GeST: one entry each, in the order of tables.

The configuration's schema, the workflow, the command line, tables, figures and documents read the methods here, so
adding a method takes only an entry and its code. This module imports neither torch nor Snakemake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from gest.errors import UserError

Task = Literal["generation", "clustering", "annotation", "svg"]
"""The tasks, named as their sections of the configuration; svg ranks spatially variable genes."""
Kind = Literal["paper", "extension", "control", "bound"]
KINDS: tuple[Kind, ...] = ("paper", "extension", "control", "bound")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table of results: a method, or one variant of it."""

    label: str
    variant: str = "default"
    """Variant in the table of scores. Clustering ignores it: there, the variants of GeST are window sizes."""
    kind: Kind = "paper"
    """Tables list the paper's rows first, then our extensions, the controls and the upper bound."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method of one task."""

    name: str
    """Name in the configuration, on the command line and in file names."""
    task: Task
    rows: tuple[Row, ...]
    environment: str | None = None
    """Isolated environment of the script `packaged/{name}.py`; its packages are listed in `envs/{environment}.txt`."""
    function: str | None = None
    """"module:function" of a baseline that runs in this process."""
    inputs: tuple[str, ...] = ()
    """Inputs of a packaged clustering method besides counts, genes, positions and seeds."""
    needs_model: bool = False
    """Whether it needs a pre-trained model; the other methods use at most the vocabulary."""
    seeded: bool = True
    """Whether its results depend on the seed."""
    threads: int = 1
    """Threads of a job. Packaged methods run on one, so that the same input gives the same bytes."""
    memory_mb: int
    """Memory of the job that predicts, represents or learns labels, at its first attempt."""
    description: str = ""
    """Remark in the table of configuration keys."""


METHODS: tuple[Method, ...] = (
    Method(
        name="gest",
        task="generation",
        rows=(
            Row(label="GeST", variant="picking"),
            Row(label="GeST-W", variant="weighted"),
            Row(label="GeST-W, re-estimated", variant="codebook", kind="extension"),
        ),
        needs_model=True,
        memory_mb=8000,
    ),
    Method(
        name="gest_continued",
        task="generation",
        rows=(
            Row(label="GeST, continued", variant="picking", kind="extension"),
            Row(label="GeST-W, continued", variant="weighted", kind="extension"),
            Row(label="GeST-W, continued, re-estimated", variant="codebook", kind="extension"),
        ),
        needs_model=True,
        memory_mb=8000,
    ),
    Method(
        name="gp",
        task="generation",
        rows=(Row(label="GP"),),
        function="gest.baselines.gp:predict",
        memory_mb=8000,
    ),
    Method(
        name="mlp",
        task="generation",
        rows=(Row(label="MLP"),),
        function="gest.baselines.mlp:predict",
        memory_mb=8000,
    ),
    Method(
        name="mean_of_seen",
        task="generation",
        rows=(Row(label="mean of seen", kind="control"),),
        function="gest.baselines.controls:mean_of_seen",
        seeded=False,
        memory_mb=8000,
    ),
    Method(
        name="nearest_seen",
        task="generation",
        rows=(Row(label="nearest seen", kind="control"),),
        function="gest.baselines.controls:nearest_seen",
        seeded=False,
        memory_mb=8000,
    ),
    Method(
        name="true_metacells",
        task="generation",
        rows=(Row(label="true meta cells", kind="bound"),),
        seeded=False,
        memory_mb=8000,
    ),
    Method(
        name="gest",
        task="clustering",
        rows=(Row(label="GeST zero-shot"),),
        needs_model=True,
        threads=8,
        memory_mb=16000,
        description="Zero-shot.",
    ),
    Method(
        name="graphst",
        task="clustering",
        rows=(Row(label="GraphST"),),
        environment="spatial",
        memory_mb=64000,  # grows with the square of the number of cells
    ),
    Method(
        name="nichecompass",
        task="clustering",
        rows=(Row(label="NicheCompass"),),
        environment="nichecompass",
        inputs=("ligands", "receptors"),
        memory_mb=16000,
        description="Its environment takes a quarter of an hour to compile.",
    ),
    Method(
        name="spagcn",
        task="clustering",
        rows=(Row(label="SpaGCN"),),
        environment="spatial",
        inputs=("n_clusters",),
        memory_mb=64000,  # grows with the square of the number of cells
    ),
    Method(
        name="stagate",
        task="clustering",
        rows=(Row(label="STAGATE"),),
        environment="stagate",
        memory_mb=16000,
    ),
    Method(
        name="raw",
        task="clustering",
        rows=(Row(label="Raw"),),
        function="gest.baselines.representations:raw",
        memory_mb=16000,
        description="Principal components of a cell's own expression.",
    ),
    Method(
        name="gest_continued",
        task="clustering",
        rows=(Row(label="GeST-FT (transductive)"),),
        needs_model=True,
        threads=8,
        memory_mb=16000,
        description="After continued training on the section itself, without its labels.",
    ),
    Method(
        name="coordinates",
        task="clustering",
        rows=(Row(label="coordinates alone", kind="control"),),
        function="gest.baselines.representations:coordinates",
        memory_mb=16000,
        description="A control: where cells lie, nothing else.",
    ),
    Method(
        name="shuffled",
        task="clustering",
        rows=(Row(label="shuffled labels", kind="control"),),
        function="gest.baselines.representations:shuffled",
        memory_mb=16000,
        description="A control: the labels, permuted at random.",
    ),
    Method(
        name="gest",
        task="annotation",
        rows=(Row(label="GeST mean", variant="mean"), Row(label="GeST max", variant="max")),
        needs_model=True,
        threads=8,
        memory_mb=32000,
        description="Fine-tuned with mean and with max pooling.",
    ),
    Method(
        name="scanvi",
        task="annotation",
        rows=(Row(label="scANVI"),),
        environment="annotation",
        memory_mb=32000,
    ),
    Method(
        name="celltypist",
        task="annotation",
        rows=(Row(label="CellTypist"),),
        environment="annotation",
        memory_mb=32000,
    ),
    Method(
        name="majority",
        task="annotation",
        rows=(Row(label="majority class", kind="control"),),
        seeded=False,
        memory_mb=32000,
        description="A control: the commonest label of the training sections.",
    ),
    Method(
        name="somde",
        task="svg",
        rows=(Row(label="SOMDE"),),
        environment="somde",
        seeded=False,
        memory_mb=4000,
    ),
    Method(
        name="morans_i",
        task="svg",
        rows=(Row(label="Moran's I"),),
        seeded=False,
        memory_mb=4000,
    ),
)


def methods(task: Task) -> tuple[Method, ...]:
    """Return the methods of a task in the order in which they run, GeST first."""
    of_task = [method for method in METHODS if method.task == task]
    return tuple(sorted(of_task, key=lambda method: not method.needs_model))


def names(task: Task) -> tuple[str, ...]:
    """Return the names of a task's methods in the order in which they run."""
    return tuple(method.name for method in methods(task))


def method(task: Task, name: str) -> Method:
    """Return one method of a task; raise UserError for an unknown name."""
    for candidate in methods(task):
        if candidate.name == name:
            return candidate
    *others, last = names(task)
    raise UserError(f"{task}: unknown method '{name}' (choose {', '.join(others)} or {last}).")


def packaged_names(task: Task) -> tuple[str, ...]:
    """Return the names of a task's methods that run in an isolated environment."""
    return tuple(method.name for method in methods(task) if method.environment)


def environments() -> dict[str, str]:
    """Return the isolated environment of every packaged method, by name of the method."""
    return {method.name: method.environment for method in METHODS if method.environment}


def labels(task: Task, *, kind: Kind | None = None) -> dict[tuple[str, str], str]:
    """Return a task's labels by method and variant, in the order of tables.

    With `kind`, only the labels of rows of this kind are returned.
    """
    rows = [(method.name, row) for method in METHODS if method.task == task for row in method.rows]
    by_kind = [(name, row) for k in KINDS for name, row in rows if row.kind == k and kind in (None, k)]
    return {(name, row.variant): row.label for name, row in by_kind}


def load_function(method: Method) -> Callable:
    """Import the function that a method's entry names."""
    module, _, function = method.function.partition(":")
    return getattr(import_module(module), function)
