"""The ischemia experiment: its datasets, sections and results."""

from dataclasses import dataclass

from gest.paper.pipeline.configuration import data_folder
from gest.paper.pipeline.generation import Generation
from gest.paper.pipeline.part import Part
from gest.paper.pipeline.sections import Sections


@dataclass(frozen=True, kw_only=True)
class Perturbation(Part):
    """Perturbation of one section of an atlas, compared with injured tissue."""

    sections: Sections
    generation: Generation

    def selected_datasets(self) -> list[str]:
        """List the atlases with a model; empty in a run without the ischemia data."""
        if self.config["perturbation"]["reference"] not in self.datasets:
            return []
        return [name for name in self.generation.selected_datasets() if self.datasets[name]["source"] == "abc_atlas"]

    def reference_sections(self) -> list[str]:
        """Return the files of the injured and of the sham sections."""
        return self.sections.whole_files(self.config["perturbation"]["reference"])

    def atlas_tables(self, dataset: str) -> list[str]:
        """Return the paths of the tables of upstream section names, one per animal."""
        return [f"<results>/{dataset}/sections/{part}.csv" for part in self.datasets[dataset]["parts"]]

    def results(self, dataset: str, file: str) -> list[str]:
        """Return the path of one result file of the experiment for each model."""
        return [f"<results>/{dataset}/perturbation/s{seed}/{file}" for seed in self.config["model_seeds"]]

    def main_variant(self) -> str:
        """Name the main variant of the experiment.

        The name joins the context and σ, in multiples of the region's radius.
        """
        return f"{self.config['perturbation']['context']}/1"

    def known_degs(self, fixtures: object) -> str | None:
        """Return the path of the table of genes known to be high or low near an infarct.

        None stands for the paper's table, which is part of the package.
        """
        if self.config["perturbation"]["truth"]:
            return str(data_folder(self.config) / self.config["perturbation"]["truth"])
        return f"{fixtures}/pia_p_degs.csv" if self.config["fixtures"] else None
