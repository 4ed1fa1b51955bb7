"""Write `docs/performance.md` and a figure from `results/benchmarks/*.csv`.

Missing results are shown as "not measured". The results are also copied to `benchmarks/measured`; copied back to
`results/benchmarks`, they give the same page.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from figure import draw
from full_run import NODE, PAPER_GPU_HOURS, hours
from goals import Tables, exponent, get, goals
from measuring import options, results

from gest.paper.tables.markdown import lay_out
from gest.pl.save import save

PAGE, KEPT = Path("docs/performance.md"), Path("benchmarks/measured")
MISSING = "not measured"


def read(folder: Path) -> Tables:
    """Read all results of a folder."""
    return {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}


def number(value: float, digits: int = 3) -> str:
    """Format a number with some significant digits, and NaN as not measured."""
    if pd.isna(value):
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def spread(row: pd.Series, name: str = "ratio") -> str:
    """Format a ratio with its quartiles."""
    return f"{row[name]:.2f} ({row[f'{name}_low']:.2f}–{row[f'{name}_high']:.2f})"


def power(x: Sequence[float], y: Sequence[float]) -> str:
    """Format the exponent of growth, which needs two sizes."""
    return f"{exponent(x, y):.2f}" if len(x) > 1 else MISSING


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table; one without rows says that nothing was measured."""
    return lay_out([head, *(rows or [[MISSING] + [""] * (len(head) - 1)])])


def on_gpu(*needed: pd.DataFrame) -> str:
    """Return a remark if no result was measured on a GPU."""
    return "" if any((rows["device"] != "cpu").any() for rows in needed if "device" in rows) else f"GPU: {MISSING}."


def machines(tables: Tables) -> str:
    """Describe the machine; of several, list the parts measured on each."""
    keys = ["processor", "cores", "threads", "torch", "device"]
    labelled = [
        rows[keys].assign(part=name.partition("_")[0]) for name, rows in tables.items() if set(keys) <= set(rows)
    ]
    if not labelled:
        return f"Machine: {MISSING}."
    lines = []
    kinds = pd.concat(labelled).drop_duplicates().groupby(keys, sort=False)
    for (processor, cores, threads, torch, device), rows in kinds:
        lines.append(f"- {processor}, {cores} cores, {threads} threads, torch {torch}")
        lines[-1] += "" if device == "cpu" else f", {device}"
        lines[-1] += f": {', '.join(rows['part'].unique())}" if len(kinds) > 1 else ""
    return "\n".join(["Machine:", "", *lines])


def aims(tables: Tables) -> list[str]:
    """Write the goals, and say which are reached."""
    rows = []
    for goal in goals(tables):
        met = "–" if goal.met is None else "yes" if goal.met else "no"
        rows.append([goal.what, f"{'≥' if goal.least else '≤'} {goal.bound}", number(goal.reached), met])
    return ["## Goals, on the CPU", table(["what", "goal", "measured", "reached"], rows)]


def attention(tables: Tables) -> list[str]:
    """Write section 1, attention."""
    times, memory = get(tables, "attention"), get(tables, "attention_memory")
    rows = [
        [row["device"], str(row["L"]), row["path"], row["dtype"], number(row["ms"]), spread(row)]
        for _, row in times.iterrows()
    ]
    parts = [
        "## 1. Attention, forward and backward",
        table(["device", "L", "path", "precision", "ms", "times as long as gest"], rows),
    ]
    if len(times):
        parts.append(
            f"Values and gradients equal those of the softmax written out: largest relative difference "
            f"{times['error'].max():.1g} in the precision that is timed, {times['error_float64'].max():.1g} in float64 "
            "(on a CPU by PyTorch's kernels, the rest by `gest.kernels.cpu`)."
        )
    rows = []
    if len(memory):
        for (device, path), sizes in memory.groupby(["device", "path"], sort=False):
            known = sizes.dropna(subset="mb")
            peaks = ", ".join(f"{row.L}: {number(row.mb)}" for row in sizes.itertuples())
            rows.append([device, path, peaks, power(known["L"], known["mb"])])
    parts.append(table(["device", "path", "peak memory of one window, MB, by L", "grows as L to the power"], rows))
    return [*parts, on_gpu(times)]


def step(tables: Tables) -> list[str]:
    """Write section 2, a training step."""
    steps, operators, peaks = (get(tables, name) for name in ("step", "step_operators", "step_peak"))
    rows = [
        [row["device"], row["path"], number(row["seconds"]), number(row["cells_per_s"]), spread(row)]
        for _, row in steps.iterrows()
    ]
    parts = [
        "## 2. A training step",
        "The default model (L8H8, D = 96, T = 1122, K = 1000). The other two paths gather and embed every cell's "
        "expression and do not fold the codebook.",
        table(["device", "attention", "seconds", "cells/s", "times as long as gest"], rows),
    ]
    if len(steps):
        parts.append(f"Largest relative difference of a gradient: {steps['error'].max():.1g}.")
    rows = [
        [row.device, row.dtype, number(row.peak_gflops), number(row.reached_gflops), f"{row.share:.0%}"]
        for row in peaks.itertuples()
    ]
    head = ["device", "precision of the product", "a large matrix product, GFLOP/s", "the step, GFLOP/s", "share"]
    parts.append(table(head, rows))
    rows = [[row.device, f"`{row.operator}`", number(row.ms), f"{row.share:.0%}"] for row in operators.itertuples()]
    parts += ["Where the time of a step goes:", table(["device", "operator", "ms", "share"], rows)]
    return [*parts, on_gpu(steps)]


def loop(tables: Tables) -> list[str]:
    """Write section 3, the loop around the step."""
    parts = get(tables, "loop")
    rows = [[row.device, row.part, number(row.ms), f"{row.share:.1%}"] for row in parts.itertuples()]
    text = ["## 3. The loop around the step", table(["device", "part", "ms per step", "share"], rows)]
    if len(parts):
        share = parts.set_index("part")["share"].drop("step")
        around = share.drop("windows, in a thread")
        text.append(f"Around the step: {around.sum():.1%}; with the thread, as if it ran alone: {share.sum():.1%}.")
    return [*text, on_gpu(parts)]


def embedding(tables: Tables) -> list[str]:
    """Write section 4, zero-shot embedding."""
    own, packaged = get(tables, "embedding"), get(tables, "packaged")
    rows = [
        [
            *(row["device"], row["path"], number(row["cells_per_s"]), spread(row, "speedup")),
            *(f"{row['error']:.1g}", f"{1 - row['cosine']:.1g}"),
        ]
        for _, row in own.iterrows()
    ]
    head = ["device", "path", "cells/s", "times as fast as the training graph", "largest relative error"]
    parts = ["## 4. Zero-shot embedding", table([*head, "1 − least cosine"], rows)]
    rows = []
    if len(packaged):
        for method, sizes in packaged.groupby("method", sort=False):
            cells = [
                f"{number(row.seconds)} s, {number(row.peak_mb)} MB" if row.status == "ok" else row.status
                for row in sizes.itertuples()
            ]
            rows.append([method, *cells, full(sizes)])
        head = ["method", *(f"{n:,} cells" for n in packaged["cells"].unique()), "memory is full at, cells"]
    else:
        head = ["method", "time and memory by cells"]
    parts += ["Compared with the packaged methods, by the number of cells of one section:", table(head, rows)]
    if len(packaged):
        memory = packaged["machine_mb"].iloc[0] / 1024
        parts.append(
            f"Memory is full where a method's peak would reach this machine's {memory:.0f} GB, were it to grow on "
            "as between its two largest sizes."
        )
    return [*parts, on_gpu(own)]


def full(sizes: pd.DataFrame) -> str:
    """Extrapolate the number of cells at which a method fills the memory."""
    known = sizes[sizes["status"] == "ok"].tail(2)
    if len(known) < 2:
        return MISSING
    cells, peaks = known["cells"].to_numpy(), known["peak_mb"].to_numpy()
    if peaks[1] <= peaks[0]:
        return "not in sight"
    reached = cells[1] * (known["machine_mb"].iloc[0] / peaks[1]) ** (1 / exponent(cells, peaks))
    return f"{reached:,.0f}" if reached < 1e8 else "not in sight"


def generation(tables: Tables) -> list[str]:
    """Write section 5, generation."""
    cases = get(tables, "generation")
    rows = [
        [
            *(row.device, f"{row.window:g}", str(row.holes), str(row.unseen_cells), str(row.windows)),
            *(number(row.seconds), number(row.windows_per_s), f"{row.padding_waste:.1%}", number(row.peak_mb)),
        ]
        for row in cases.itertuples()
    ]
    head = ["device", "window, µm", "holes", "unseen cells", "windows", "seconds", "windows/s", "padding", "peak, MB"]
    parts = ["## 5. Generation", table(head, rows)]
    if len(cases):
        series = cases[(cases["device"] == "cpu") & (cases["window"] == cases["window"].iloc[0])]
        grows = power(series["unseen_cells"], series["seconds"])
        parts.append(f"Seconds grow as the unseen cells to the power {grows}.")
    return [*parts, on_gpu(cases)]


def growth(tables: Tables) -> list[str]:
    """Write section 6, growth."""
    stages = get(tables, "growth")
    rows = []
    for row in stages.itertuples():
        if row.status == "ok":
            taken = number(row.seconds) + (" *" if row.extrapolated else "")
            rows.append([row.stage, f"{row.cells:,}", taken, number(row.cells_per_s), number(row.peak_mb)])
        else:
            rows.append([row.stage, f"{row.cells:,}", row.status, "", ""])
    parts = [
        "## 6. Growth",
        table(["stage", "cells", "seconds", "cells/s", "peak, MB"], rows),
        "\\* a part of the cells, at the rate measured.",
        "The paper's full run, extrapolated: hours.",
    ]
    rows = []
    for row in hours(tables):
        gpus = [number(row[key]) if row["runs_on_gpu"] else "–" for key in ("gpu", "gpus")]
        rows.append([row["stage"], row["work"], number(row["cpu"]), number(row["node"]), *gpus])
    parts.append(table(["stage", "work", "this CPU", f"node of {NODE} cores", "1 GPU", "4 GPUs"], rows))
    parts.append(
        f"The paper reports 4 A800 for about 3 hours of pre-training: {PAPER_GPU_HOURS} GPU-hours. Nodes and several "
        "GPUs are reckoned as if every core and GPU did as well as those measured; –: runs on the CPU."
    )
    return [*parts, on_gpu(get(tables, "embedding"))]


def dag(tables: Tables) -> list[str]:
    """Write section 7, the workflow."""
    whole, rules = get(tables, "dag"), get(tables, "dag_rules")
    parts = ["## 7. The DAG"]
    if whole.empty:
        return [*parts, f"A dry run of the paper's configuration: {MISSING}."]
    summary = whole.iloc[0]
    parts.append(
        f"A dry run of the paper's configuration takes {summary['dry_run_s']:.1f} s, for {summary['jobs']:,} jobs of "
        f"{summary['rules']} rules. {summary['short']:,} of them are of rules whose jobs took under "
        f"{summary['short_s']:g} s in the runs on this machine, on small files, and {summary['unknown']:,} of rules "
        "that did not run; at most the sum of both is short."
    )
    many = rules[rules["jobs"] > 10]
    rows = [[f"`{row.rule}`", f"{row.jobs:,}", number(row.median_s)] for row in many.itertuples()]
    return [*parts, "Rules of more than ten jobs:", table(["rule", "jobs", "median seconds"], rows)]


def vocabulary(tables: Tables) -> list[str]:
    """Write the section on the vocabulary."""
    rows = [
        [f"{row.cells:,}", row.part.replace("_", " "), row.measure.replace("_", " "), number(row.value)]
        for row in get(tables, "vocabulary").itertuples()
    ]
    head = ["cells", "part", "measure", "value"]
    return ["## The vocabulary beside scanpy and scikit-learn", table(head, rows)]


SECTIONS = (aims, attention, step, loop, embedding, generation, growth, dag, vocabulary)


def page(tables: Tables) -> str:
    """Write the page."""
    head = [
        "# Performance",
        "Written by `make benchmark` out of `results/benchmarks/*.csv`; not to be edited. Ratios are medians of rounds "
        "in which reference and fast path take turns, with their quartiles in brackets; "
        "[benchmarks/README.md](../benchmarks/README.md) says what is measured how.",
        machines(tables),
    ]
    parts = [part for section in SECTIONS for part in section(tables)]
    return "\n\n".join(part for part in [*head, *parts] if part) + "\n"


def main() -> None:
    """Write the page and the figure, those of a quick run to its results folder."""
    arguments = options(__doc__).parse_args()
    folder = results(arguments.quick)
    path = folder / PAGE.name if arguments.quick else PAGE
    tables = read(folder)
    path.write_text(page(tables), encoding="utf-8")
    if not arguments.quick:
        shutil.rmtree(KEPT, ignore_errors=True)
        shutil.copytree(folder, KEPT, ignore=shutil.ignore_patterns("performance.*", "quick"))
    save(draw(tables), folder / "performance.png", folder / "performance.pdf")
    print(f"{path}, {folder}/performance.png, .pdf")


if __name__ == "__main__":
    main()
