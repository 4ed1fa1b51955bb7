"""Clustering and annotation, the tasks that label the cells of test sections: datasets, methods and files."""

from collections.abc import Iterable
from dataclasses import dataclass

from gest.baselines import registry
from gest.errors import UserError
from gest.paper.pipeline.part import Part

FOLDERS = {"clustering": "niches", "annotation": "annotation"}
"""Folder of each task's files, within the folder of a dataset."""


@dataclass(frozen=True, kw_only=True)
class LabelledCells(Part):
    """Datasets, methods, files and resources of clustering and annotation."""

    def selected_datasets(self, task: str) -> list[str]:
        """List the datasets of a task.

        These are the configured ones or, by default, all with labels, train and test sections.
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
        """Return the number of seeds of a method; 0 means that it does not run."""
        return self.datasets[dataset][task]["methods"].get(method, 0)

    def models_for(self, task: str, dataset: str, method: str) -> list[str]:
        """Return the paths of the pre-trained models; [] if the method needs none."""
        return self.models(dataset) if registry.method(task, method).needs_model else []

    def environment(self, task: str, method: str) -> str | list[str]:
        """Return the path of a packaged method's environment; [] for other methods."""
        environment = registry.method(task, method).environment
        return f".venvs/{environment}" if environment else []

    def threads(self, task: str, method: str) -> int:
        """Return the number of threads of a method's job."""
        return registry.method(task, method).threads

    def memory_mb(self, task: str, method: str) -> int:
        """Return the memory of a method's job at its first attempt."""
        return registry.method(task, method).memory_mb

    def labels(self, task: str, dataset: str, section: str) -> dict[str, list[str]]:
        """Return the files of a section's labels by every method, and of their runs."""
        stems = self._by_method(task, dataset, section)
        return {"labels": [f"{stem}.csv" for stem in stems], "runs": [f"{stem}.runs.csv" for stem in stems]}

    def scores(self, task: str, datasets: Iterable[str]) -> list[str]:
        """Return the score file of every test section of some datasets."""
        return [
            f"<results>/{dataset}/{FOLDERS[task]}/{section}.csv"
            for dataset in datasets
            for section in self.datasets[dataset]["sections"]["test"]
        ]

    def runs(self, task: str, datasets: Iterable[str]) -> list[str]:
        """Return the files that record the runs on every test section of some datasets."""
        return [
            f"{stem}.runs.csv"
            for dataset in datasets
            for section in self.datasets[dataset]["sections"]["test"]
            for stem in self._by_method(task, dataset, section)
        ]

    def _by_method(self, task: str, dataset: str, section: str) -> list[str]:
        """Return the path, without suffix, of one section's files by each method."""
        folder = f"<results>/{dataset}/{FOLDERS[task]}/{section}"
        return [f"{folder}/{method}" for method in self.methods(task, dataset)]
