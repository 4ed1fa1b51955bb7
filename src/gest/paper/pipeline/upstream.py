"""Upstream files that sections are read from: downloaded, or simulated in the toy run."""

import json
from dataclasses import dataclass
from pathlib import Path

from gest.errors import UserError
from gest.paper.pipeline.configuration import data_folder
from gest.paper.pipeline.part import Part
from gest.paper.pipeline.sections import Sections


@dataclass(frozen=True, kw_only=True)
class Upstream(Part):
    """Upstream files, their receipts and their entries in config/datasets.yaml."""

    sections: Sections

    def receipts(self, name: str, section: str = "") -> list[str]:
        """Return the receipts of an upstream set's files, or of one of its samples.

        A receipt is a file; it states that an upstream file is present and verified.
        """
        files = self.config["upstream"][name]["files"]
        return [f"<results>/upstream/{name}/{file.replace('{sample}', section)}.json" for file in files]

    def section_data(self, dataset: str, section: str) -> str | list[str]:
        """Return the input files of a section: receipts, or a user's file."""
        settings = self.datasets[dataset]
        if "upstream" in settings:
            return self.receipts(settings["upstream"], section)
        if not Path(settings["path"]).exists():
            raise UserError(
                f"datasets.{dataset}.path: {settings['path']} not found; set the folder of the data with "
                "`--config data_dir=FOLDER` or the environment variable GEST_DATA."
            )
        return settings["path"]

    def folder(self, name: str) -> str:
        """Return the folder of an upstream set."""
        return str(data_folder(self.config) / name)

    def page(self, name: str) -> str:
        """Return the web page that offers the files of an upstream set."""
        return self.config["upstream"][name]["page"]

    def entry(self, name: str, file: str, *, fixtures: object) -> str:
        """Return the entry of an upstream file in config/datasets.yaml, as JSON.

        In the toy run, return the path of the simulated file's entry instead.
        """
        if self.config["fixtures"]:
            return f"{fixtures}/{name}/{file}.entry.json"
        upstream = self.config["upstream"][name]
        for sample in upstream.get("samples") or [""]:
            for pattern, entry in upstream["files"].items():
                if pattern.replace("{sample}", sample) == file:
                    return json.dumps(entry).replace("{sample}", sample)
        raise UserError(
            f"config/datasets.yaml, upstream.{name}.files: unknown file '{file}' (choose from "
            f"{', '.join(upstream['files'])})."
        )

    def fixtures(self) -> str | list[str]:
        """Return the folder of simulated files; [] if this is not the toy run."""
        return "<results>/fixtures" if self.config["fixtures"] else []

    def server(self, fixtures: object) -> str:
        """Return the command prefix that serves simulated files; else empty."""
        return f"python -m gest.testing.server {fixtures} --" if self.config["fixtures"] else ""

    def fixture_settings(self) -> str:
        """Return the settings of the toy run's simulation, as JSON."""
        sets: dict[str, dict] = {}
        for _, _, part in self.sections.atlas_parts():
            sets[part["upstream"]] = {"source": "abc_atlas", "sections": part["sections"]}
        for name in self.sections.single_datasets():
            dataset = self.datasets[name]
            if "upstream" in dataset:
                sets[dataset["upstream"]] = {"source": dataset["source"], "sections": self.sections.whole(name)}
        for name, settings in sets.items():
            settings["files"] = list(self.config["upstream"][name]["files"])
        return json.dumps({**self.config["fixtures"], "sets": sets}, indent=2)
