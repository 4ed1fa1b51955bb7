"""Sections: their names, roles and files, and the sections that are cut from others."""

from dataclasses import dataclass

from gest.paper.pipeline.configuration import ROLES, part_sections
from gest.paper.pipeline.part import Part, section_file


@dataclass(frozen=True, kw_only=True)
class Sections(Part):
    """Sections of all datasets."""

    def atlas_parts(self) -> list[tuple[str, str, dict]]:
        """List dataset, name and settings of every part of the ABC Atlas.

        All sections of a part are read by one job.
        """
        return [
            (name, part, settings)
            for name, dataset in self.datasets.items()
            if dataset["source"] == "abc_atlas"
            for part, settings in dataset["parts"].items()
        ]

    def single_datasets(self) -> list[str]:
        """List the datasets whose sections are each read by a separate job."""
        return [name for name, dataset in self.datasets.items() if dataset["source"] != "abc_atlas"]

    def cut(self) -> list[str]:
        """Name the sections that are cut from others."""
        return [section for dataset in self.datasets.values() for section in dataset.get("cut", {})]

    def cut_from(self, dataset: str, section: str) -> str:
        """Return the file of the section that another one is cut from."""
        return section_file(dataset, self.datasets[dataset]["cut"][section]["of"])

    def whole(self, dataset: str) -> list[str]:
        """Name the sections of a dataset that are not cut from others."""
        settings = self.datasets[dataset]
        named = [section for role in ROLES for section in settings["sections"][role]]
        return [section for section in named if section not in settings.get("cut", {})]

    def whole_files(self, dataset: str) -> list[str]:
        """Return the files of the sections of `whole`."""
        return [section_file(dataset, section) for section in self.whole(dataset)]

    def of_part(self, dataset: str, part: str) -> list[str]:
        """Return the files of the sections of one part of the ABC Atlas."""
        return [section_file(dataset, name) for name in part_sections(part, self.datasets[dataset]["parts"][part])]

    def in_role(self, dataset: str, role: str) -> list[str]:
        """Return the files of a dataset's sections in one role."""
        return [section_file(dataset, section) for section in self.datasets[dataset]["sections"][role]]

    def roles(self) -> list[tuple[str, str, str]]:
        """List dataset, name and role of every section."""
        return [
            (name, section, role)
            for name, dataset in self.datasets.items()
            for role in ROLES
            for section in dataset["sections"][role]
        ]

    def all(self) -> list[str]:
        """Return the file of every section of every dataset, in the order of `roles`."""
        return [section_file(dataset, section) for dataset, section, _ in self.roles()]

    def expected_totals(self) -> dict[str, tuple[dict, list[str]]]:
        """Return the totals stated upstream, and the sections they cover, by dataset.

        Datasets that are not read in full are left out.
        """
        totals = {}
        for name, dataset in self.datasets.items():
            upstream = set(dataset["known"]) - set(dataset.get("cut", {}))
            if dataset.get("expected") and upstream == set(self.whole(name)):
                totals[name] = (dataset["expected"], self.whole(name))
        return totals
