"""Base class of the parts of a run: the configuration, and paths that several parts use."""

from dataclasses import dataclass
from typing import Any


def section_file(dataset: str, section: str) -> str:
    """Return the path of a section's file."""
    return f"<results>/{dataset}/sections/{section}.h5ad"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Base of the parts of a run."""

    config: dict[str, Any]
    """The complete configuration of the run."""
    datasets: dict[str, dict]
    """Settings of every dataset, by name, from `configuration.resolve_datasets`."""

    def models(self, dataset: str) -> list[str]:
        """Return the paths of the models pre-trained on a dataset, one per seed."""
        return [f"<results>/{dataset}/model-s{seed}" for seed in self.config["model_seeds"]]
