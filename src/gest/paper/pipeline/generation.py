"""Generation of unseen cells: datasets, methods and scores."""

from collections.abc import Iterable
from dataclasses import dataclass

from gest.baselines import registry
from gest.errors import UserError
from gest.paper.pipeline.part import Part


@dataclass(frozen=True, kw_only=True)
class Generation(Part):
    """Datasets, inputs and scores of the methods that predict unseen cells."""

    def selected_datasets(self) -> list[str]:
        """List the datasets whose cells are generated.

        These are the configured ones or, by default, all with train and test sections.
        """
        names = self.config["generation"]["datasets"]
        if names is None:
            names = [name for name, dataset in self.datasets.items() if _has_train_and_test(dataset)]
        if not names:
            raise UserError("datasets: no dataset has both train and test sections, which generation needs; list some.")
        return names

    def learnt(self, dataset: str, method: str) -> list[str]:
        """Return the paths of the models, or of the vocabulary, that a method uses."""
        if self.learnt_option(method) == "model":
            return self.models(dataset)
        return [f"<results>/{dataset}/vocabulary.npz"]

    def learnt_option(self, method: str) -> str:
        """Return the name of the command-line option for the paths of `learnt`."""
        return "model" if registry.method("generation", method).needs_model else "vocabulary"

    def svg_environment(self, dataset: str) -> str | list[str]:
        """Return the path of the gene-ranking method's environment; [] without one."""
        environment = self._svg_method(dataset).environment
        return f".venvs/{environment}" if environment else []

    def svg_memory_mb(self, dataset: str) -> int:
        """Return the memory of the gene-ranking method's job at its first attempt."""
        return self._svg_method(dataset).memory_mb

    def _svg_method(self, dataset: str) -> registry.Method:
        return registry.method("svg", self.datasets[dataset]["svg"]["method"])

    def scores(self) -> list[str]:
        """Return the score files of every method on every test section."""
        return [f"{path}.csv" for path in self._by_method(self.selected_datasets())]

    def gene_scores(self, datasets: Iterable[str]) -> list[str]:
        """Return the files of scores per gene, by every method on every test section."""
        return [f"{path}.genes.csv" for path in self._by_method(datasets)]

    def _by_method(self, datasets: Iterable[str]) -> list[str]:
        """Return the path, without suffix, of every test section's files by each method."""
        return [
            f"<results>/{dataset}/generation/{section}/{method}"
            for dataset in datasets
            for section in self.datasets[dataset]["sections"]["test"]
            for method in self.datasets[dataset]["generation"]["methods"]
        ]


def _has_train_and_test(dataset: dict) -> bool:
    return bool(dataset["sections"]["train"] and dataset["sections"]["test"])
