"""Clustering and annotation: the methods that label the cells of test sections."""

from collections.abc import Iterable
from dataclasses import dataclass

from gest.baselines import registry
from gest.errors import UserError
from gest.paper.pipeline.part import Part

FOLDERS = {"clustering": "niches", "annotation": "annotation"}
"""Folder of each task's files, in a dataset's."""


@dataclass(frozen=True, kw_only=True)
class LabelledCells(Part):
    """Methods of both tasks, their files and what their jobs need."""

    def selected_datasets(self, task: str) -> list[str]:
        """List the datasets of a task.

        The configured ones, or all with labels, train and test sections.
        """
        able = []
        for name, dataset in self.datasets.items():
            if dataset.get("labels") and dataset["sections"]["train"] and dataset["sections"]["test"]:
                able.append(name)
        configured = self.config[task]["datasets"]
        for name in configured or []:
            if name not in able:
                raise UserError(
                    f"{task}.datasets: '{name}' is not a dataset with labels, train and test sections (choose from "
                    f"{', '.join(able) or 'none'})."
                )
        return able if configured is None else configured

    def methods(self, task: str, dataset: str) -> list[str]:
        """List the methods of a task that run with at least one seed."""
        return [method for method in registry.names(task) if self.n_seeds(task, dataset, method)]

    def n_seeds(self, task: str, dataset: str, method: str) -> int:
        """Return the number of seeds that a method runs with; 0: it does not run."""
        return self.datasets[dataset][task]["methods"].get(method, 0)

    def models_for(self, task: str, dataset: str, method: str) -> list[str]:
        """Return the pre-trained models, for methods that need them."""
        return self.models(dataset) if registry.method(task, method).needs_model else []

    def environment(self, task: str, method: str) -> str | list[str]:
        """Return the isolated environment of a packaged method; nothing for other methods."""
        environment = registry.method(task, method).environment
        return f".venvs/{environment}" if environment else []

    def threads(self, task: str, method: str) -> int:
        """Return the number of threads that a method runs on."""
        return registry.method(task, method).threads

    def memory_mb(self, task: str, method: str) -> int:
        """Return the memory of a method's job at its first attempt."""
        return registry.method(task, method).memory_mb

    def labels(self, task: str, dataset: str, section: str) -> dict[str, list[str]]:
        """Return the files of one section's labels by every method, and of their runs."""
        stems = self._by_method(task, dataset, section)
        return {"labels": [f"{stem}.csv" for stem in stems], "runs": [f"{stem}.runs.csv" for stem in stems]}

    def scores(self, task: str, datasets: Iterable[str]) -> list[str]:
        """Return the files of scores of every test section of these datasets."""
        return [
            f"<results>/{dataset}/{FOLDERS[task]}/{section}.csv"
            for dataset in datasets
            for section in self.datasets[dataset]["sections"]["test"]
        ]

    def runs(self, task: str, datasets: Iterable[str]) -> list[str]:
        """Return the files that record every method's runs on test sections."""
        return [
            f"{stem}.runs.csv"
            for dataset in datasets
            for section in self.datasets[dataset]["sections"]["test"]
            for stem in self._by_method(task, dataset, section)
        ]

    def _by_method(self, task: str, dataset: str, section: str) -> list[str]:
        """Return the stem of one section's files, by method."""
        folder = f"<results>/{dataset}/{FOLDERS[task]}/{section}"
        return [f"{folder}/{method}" for method in self.methods(task, dataset)]
