"""Check a configuration and create the parts that compute its files and parameters."""

import json
from typing import Any

from gest.paper.pipeline.ablation import Ablation
from gest.paper.pipeline.checks import check_items, check_run_name, check_schema, check_tables
from gest.paper.pipeline.configuration import resolve_datasets
from gest.paper.pipeline.figures import Figures
from gest.paper.pipeline.generation import Generation
from gest.paper.pipeline.items import Items
from gest.paper.pipeline.labelling import LabelledCells
from gest.paper.pipeline.perturbation import Perturbation
from gest.paper.pipeline.sections import Sections
from gest.paper.pipeline.stages import STAGES, stage_settings
from gest.paper.pipeline.upstream import Upstream


class Run:
    """A checked configuration, with one part for each kind of rule.

    Parameters
    ----------
    config
        The complete configuration, from `configuration.with_defaults`.
    defaults
        The paper's configuration; `paper_items` may also name datasets that only it has.
    schema
        JSON schema of the configuration.

    Raises
    ------
    UserError
        The configuration is invalid.
    """

    def __init__(self, config: dict[str, Any], *, defaults: dict[str, Any], schema: dict[str, Any]) -> None:
        check_schema(config, schema)
        datasets = resolve_datasets(config)
        check_tables(config["ablation"])
        check_items(config["paper_items"], datasets, defaults["datasets"])
        check_run_name(config, defaults["datasets"])
        self.datasets = datasets
        shared = {"config": config, "datasets": datasets}
        self.sections = Sections(**shared)
        self.upstream = Upstream(**shared, sections=self.sections)
        self.generation = Generation(**shared)
        self.labelling = LabelledCells(**shared)
        self.perturbation = Perturbation(**shared, sections=self.sections, generation=self.generation)
        self.ablation = Ablation(**shared, generation=self.generation)
        self.items = Items(
            **shared,
            generation=self.generation,
            labelling=self.labelling,
            perturbation=self.perturbation,
            ablation=self.ablation,
        )
        self.figures = Figures(**shared, items=self.items)
        self.variants = list(config["ablation"]["variants"])

    def stages(self) -> list[str]:
        """List the stages that read settings; those of variants are ``stage-variant``."""
        stages = list(STAGES)
        for stage in ("pretraining", "vocabulary"):
            stages += [f"{stage}-{variant}" for variant in self.variants]
        return stages

    def stage_json(self, dataset: str, stage: str) -> str:
        """Return the settings that one of `stages` reads, as JSON."""
        stage, _, variant = stage.partition("-")
        if variant:
            settings = self.ablation.settings(dataset, stage, variant)
        else:
            settings = stage_settings(self.datasets[dataset], stage)
        return json.dumps(settings, indent=2)
