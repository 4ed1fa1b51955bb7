"""Hold what all parts of a run share: the configuration, and common paths."""

from dataclasses import dataclass
from typing import Any


def section_file(dataset: str, section: str) -> str:
    """Return the path of one section."""
    return f"<results>/{dataset}/sections/{section}.h5ad"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Base of the parts of a run."""

    config: dict[str, Any]
    """The configuration of the run, complete."""
    datasets: dict[str, dict]
    """Settings of every dataset, by name, as `configuration.resolve_datasets` returns them."""

    def models(self, dataset: str) -> list[str]:
        """Return the models pre-trained on a dataset, one per seed."""
        return [f"<results>/{dataset}/model-s{seed}" for seed in self.config["model_seeds"]]
