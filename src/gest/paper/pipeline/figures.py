"""Figures: the section that each one draws, and the files and settings that it needs."""

from dataclasses import dataclass
from typing import Any

from gest.paper.pipeline.items import TASKS, Items
from gest.paper.pipeline.part import Part, section_file

DRAWN = ("gest", "gp", "mlp")
"""Methods of generation that are drawn beside the truth."""


@dataclass(frozen=True, kw_only=True)
class Figures(Part):
    """Files and settings of figures that draw one section of one dataset."""

    items: Items

    def files(self, item: str, *keys: str, role: str = "test") -> dict[str, str | list[str]]:
        """Return files of a figure's dataset and of its middle section, by key.

        The middle section is chosen among the sections in a role.
        """
        dataset = self._dataset(item)
        section = self._middle_section(dataset, role)
        generation = f"<results>/{dataset}/generation/{section}"
        methods = [method for method in DRAWN if method in self.datasets[dataset]["generation"]["methods"]]
        files = {
            "section": section_file(dataset, section),
            "sections": [section_file(dataset, name) for name in self.datasets[dataset]["sections"][role]],
            "vocabulary": f"<results>/{dataset}/vocabulary.npz",
            "crops": f"{generation}/crops.json",
            "svg": f"{generation}/svg.csv",
            "rounds": f"{generation}/gest.h5ad",
            "predictions": [f"{generation}/{method}.h5ad" for method in methods],
        }
        return {key: files[key] for key in keys}

    def setting(self, item: str, *keys: str) -> Any:
        """Return one setting of a figure's dataset."""
        value: Any = self.datasets[self._dataset(item)]
        for key in keys:
            value = value[key]
        return value

    def figure_a1(self) -> dict[str, str | list[str]]:
        """Return the files of Figure A.1: a section, its ranked genes and two models.

        The models, with and without quantisation, are trained on the same number of cells.
        """
        dataset, seed = self._dataset("figure_a1"), self.config["ablation"]["seeds"][0]
        folder = f"<results>/{dataset}/ablation"
        ablation = self.items.ablation
        return self.files("figure_a1", "section", "svg") | {
            "quantised": f"{folder}/{ablation.trained_as(dataset, 'baseline')}/model-s{seed}",
            "continuous": f"{folder}/{ablation.trained_as(dataset, 'no_quantisation')}/model-s{seed}",
        }

    def labels(self, item: str) -> dict[str, str | list[str]]:
        """Return the files of a figure's middle test section and of its labels."""
        dataset = self._dataset(item)
        section = self._middle_section(dataset, "test")
        labels = self.items.labelling.labels(TASKS[item], dataset, section)
        return {**labels, "section": section_file(dataset, section)}

    def first_level(self, item: str) -> str:
        """Return the first configured level of labels, the coarsest."""
        return next(iter(self.setting(item, "labels")))

    def _dataset(self, item: str) -> str:
        return self.items.required_datasets(item)[0]

    def _middle_section(self, dataset: str, role: str) -> str:
        """Return the middle one of a role's sections, as the outermost ones are small."""
        sections = self.datasets[dataset]["sections"][role]
        return sections[len(sections) // 2]
