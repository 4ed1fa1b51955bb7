"""docs/paper_map.md: every table and figure of the paper, with what makes it, as the workflow has it."""

import ast
import re
from pathlib import Path

HEAD = """# Map of the paper

Every table and figure of the paper: the target that makes it (`snakemake TARGET`, on a cluster with `--profile slurm`),
the rule and the script behind it, the modules of `gest` that compute what it shows, the data of the run, and the
files. What the paper reports stands in [`config/paper_values.yaml`](../config/paper_values.yaml), and beside ours
in `results/paper/tables/paper_comparison.md`. Written by `snakemake --cores 1 --force paper_map`.

| item | target | rule | script | modules | data | files |
|---|---|---|---|---|---|---|
"""
FOOT = """
Figures 1, 2a, 2b, 3 and 5a are drawings of the method, not of data: no target makes them. What they draw is in
[`model.py`](../src/gest/model.py) (Figures 1, 2a and 2b), [`niches.py`](../src/gest/tasks/niches.py) and
[`annotator.py`](../src/gest/tasks/annotation/annotator.py) (Figure 3), and [`perturb.py`](../src/gest/tasks/perturbation/perturb.py) (Figure 5a).
"""
# What only reads, writes or tells is the same for all.
COMMON = {
    *(
        "gest.utils.logs",
        "gest.errors",
        "gest.paper.reported",
        "gest.paper.scores.table",
        "gest.sections",
        "gest.cli.app",
    ),
    *("gest.paper.tables.html", "gest.pl.save", "gest.paper.tables.markdown"),
}


def modules(script: Path) -> list[str]:
    """Modules of `gest` that a script imports, but those that are common to all."""
    imported = [node.module for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)]
    return sorted({name for name in imported if name.startswith("gest.")} - COMMON)


def place(item: dict) -> tuple:
    """Return the place in the paper's order: tables first, then figures; numbers before those of the appendix."""
    appendix, number, letter = re.search(r"_(a?)(\d+)(\w?)$", item["target"]).groups()
    return not item["target"].startswith("table"), bool(appendix), int(number), letter


def row(item: dict) -> str:
    """One line of the table."""
    name, _, shown = item["description"].partition(": ")
    scripts = Path(snakemake.scriptdir)
    cells = [
        f"{name}: {shown.rstrip('.')}",
        f"`{item['target']}`",
        f"[`{item['rule']}`](../workflow/rules/{item['rule']})",
        f"[`{item['script']}`](../workflow/scripts/{item['script']})",
        ", ".join(
            f"[`{module.removeprefix('gest.')}`](../src/{module.replace('.', '/')}.py)"
            for module in modules(scripts / item["script"])
        ),
        ", ".join(item["datasets"]) or "none",
        "<br>".join(f"`{path}`" for path in item["outputs"]),
    ]
    return f"| {' | '.join(cells)} |\n"


rows = [row(item) for item in sorted(snakemake.params.mapped, key=place) if re.search(r"_a?\d+\w?$", item["target"])]
Path(snakemake.output[0]).write_text(HEAD + "".join(rows) + FOOT, encoding="utf-8")
