"""Tables and figures of the paper: which of them a run makes, and from which datasets."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gest.errors import UserError
from gest.paper.pipeline.ablation import Ablation
from gest.paper.pipeline.generation import Generation
from gest.paper.pipeline.labelling import LabelledCells
from gest.paper.pipeline.part import Part
from gest.paper.pipeline.perturbation import Perturbation

TASKS = {
    **dict.fromkeys(("table_1", "table_a2", "figure_a6"), "clustering"),
    **dict.fromkeys(("table_2", "figure_a7"), "annotation"),
    **dict.fromkeys(("table_a3", "figure_5"), "perturbation"),
}
"""Task of every item that is not about generation."""


@dataclass(frozen=True, kw_only=True)
class Items(Part):
    """Tables and figures of the paper, each named as its target in the workflow."""

    generation: Generation
    labelling: LabelledCells
    perturbation: Perturbation
    ablation: Ablation

    def selected_datasets(self, item: str) -> list[str]:
        """List the datasets of an item; empty if the run cannot make it."""
        able = self._able(item)
        configured = self.config["paper_items"][item]
        if configured is None:
            return able if item.startswith("table") else able[:1]
        wanted = [configured] if isinstance(configured, str) else configured
        return [dataset for dataset in wanted if dataset in able]

    def required_datasets(self, item: str) -> list[str]:
        """List the datasets of an item; raise UserError if the run cannot make it."""
        datasets = self.selected_datasets(item)
        if not datasets:
            raise UserError(
                f"paper_items.{item}: no dataset of this run has the sections and labels that it needs (configured: "
                f"{self.config['paper_items'][item] or 'any'}); choose another dataset."
            )
        return datasets

    def settings(self, item: str, *keys: str) -> dict[str, Any]:
        """Return one nested setting for each dataset of an item; None if it is missing."""
        values: dict[str, Any] = {name: self.datasets[name] for name in self.required_datasets(item)}
        for key in keys:
            values = {name: value.get(key) for name, value in values.items()}
        return values

    def label_scores(self, item: str) -> list[str]:
        """Return the score files of a clustering or annotation item."""
        return self.labelling.scores(TASKS[item], self.required_datasets(item))

    def label_runs(self, item: str) -> list[str]:
        """Return the files that record the runs of a clustering or annotation item."""
        return self.labelling.runs(TASKS[item], self.required_datasets(item))

    def perturbation_results(self, item: str, file: str) -> list[str]:
        """Return the path of one file of the ischemia experiment for each model."""
        return self.perturbation.results(self.required_datasets(item)[0], file)

    def scores(self) -> list[str]:
        """Return all score files of the run, one per task and ablation table."""
        gathering = {"clustering": "table_1", "annotation": "table_2", "perturbation": "table_a3"}
        tasks = ["generation"] + [task for task, item in gathering.items() if self.selected_datasets(item)]
        return [f"<results>/scores/{name}.csv" for name in tasks + self.ablation.tables()]

    def deliverables(self) -> list[str]:
        """Return the files of all tables and figures of the run."""
        items = [item for item in self.config["paper_items"] if self.selected_datasets(item)]
        variants = self.ablation.tables()
        tables = ["sections", "generation", "paper_comparison"]
        tables += [item for item in items if item.startswith("table")] + variants
        figures = ["figure_2c"] + [item for item in items if item.startswith("figure")]
        if variants:
            tables.append("ablation_cost")
            figures += ["figure_ablation_curves", "figure_scaling"]
        files = [f"<results>/tables/{table}.csv" for table in tables]
        files += [f"<results>/figures/{figure}.png" for figure in figures]
        return [*files, "<results>/tables/parameters.html"]

    def paper_map(self, rule_of: Callable[[str], Any]) -> list[dict[str, Any]]:
        """Describe every table and figure of the paper for docs/paper_map.md.

        Parameters
        ----------
        rule_of
            Function that returns the rule of an item, with its docstring, Snakefile, script and output.
        """
        datasets = {"figure_2c": []} | {item: self.selected_datasets(item) for item in self.config["paper_items"]}
        datasets |= {table: self.ablation.selected_datasets() for table in self.config["ablation"]["tables"]}
        rows = []
        for item, names in datasets.items():
            if not re.match("table|figure", item):
                continue
            rule = rule_of(item)
            reference = [self.config["perturbation"]["reference"]] if TASKS.get(item) == "perturbation" else []
            rows.append(
                {
                    "target": item,
                    "description": rule.docstring,
                    "rule": Path(rule.snakefile).name,
                    "script": Path(rule.script).name,
                    "datasets": names + reference,
                    "outputs": [str(path) for path in rule.output],
                }
            )
        return rows

    def _able(self, item: str) -> list[str]:
        """List the datasets that have what an item needs."""
        task = TASKS.get(item)
        if task == "perturbation":
            return self.perturbation.selected_datasets()
        return self.labelling.selected_datasets(task) if task else self.generation.selected_datasets()
