"""Ablations: variants of the model, how they are trained, and their files."""

import random
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from gest.errors import UserError
from gest.paper.pipeline.configuration import for_ablation, lay_over
from gest.paper.pipeline.generation import Generation
from gest.paper.pipeline.part import Part, section_file
from gest.paper.pipeline.stages import STAGES, stage_settings


@dataclass(frozen=True, kw_only=True)
class Ablation(Part):
    """Variants of the model, trained on one dataset."""

    generation: Generation

    def selected_datasets(self) -> list[str]:
        """List the dataset of the ablations; empty if the run has no suitable one."""
        configured = self.config["ablation"]["dataset"]
        able = [name for name in self.generation.selected_datasets() if configured in (name, None)][:1]
        for name in able:
            if not for_ablation(self.datasets[name])["sections"]["validation"]:
                raise UserError(
                    f"datasets.{name}.ablation.validation: no section is listed, and the ablations validate on one; "
                    "list one, or a part that is `cut` from another section."
                )
        return able

    def tables(self) -> list[str]:
        """List the ablation tables that this run makes."""
        if not any(self.config["ablation"]["tables"].values()) or not self.selected_datasets():
            return []
        return [table for table, variants in self.config["ablation"]["tables"].items() if variants]

    def settings(self, dataset: str, stage: str, variant: str) -> dict[str, Any]:
        """Return the settings that one stage of a variant reads."""
        settings = stage_settings(self.datasets[dataset], stage)
        changes = self.config["ablation"]["variants"][variant]
        lay_over(settings, {key: deepcopy(value) for key, value in changes.items() if key in STAGES[stage]})
        if stage == "pretraining":
            settings["pretraining"]["target_cells"] = self.config["ablation"]["target_cells"]
            for key in ("steps", "warmup_steps", "validate_every"):  # not read if `target_cells` is set
                del settings["pretraining"][key]
        return settings

    def trained_as(self, dataset: str, variant: str) -> str:
        """Return the first variant with the same settings and share of sections.

        Variants that are trained alike share its model.
        """

        def training(name: str) -> tuple:
            share = self.config["ablation"]["variants"][name].get("share", 1)
            return share, *(self.settings(dataset, stage, name) for stage in ("pretraining", "vocabulary"))

        return next(name for name in self.config["ablation"]["variants"] if training(name) == training(variant))

    def variants(self, *tables: str) -> list[tuple[str, str, str, str]]:
        """List the variants of the named tables, or of all tables.

        Each row holds a variant's name, the variant whose model it uses, its mode of prediction, and the variant it is
        compared with.
        """
        dataset = self._dataset()
        variants = self.config["ablation"]["variants"]
        listed = [name for table in tables or self.tables() for name in self.config["ablation"]["tables"][table]]
        rows = []
        for name in dict.fromkeys(listed):
            mode = variants[name].get("mode", "weighted")
            reference = variants[name].get("against", listed[0])
            rows.append((name, self.trained_as(dataset, name), mode, reference))
        return rows

    def table_models(self, *tables: str) -> list[str]:
        """Return the paths of the models of the named tables, or of all tables."""
        return [model for name in self._trainings(*tables) for model in self.variant_models(self._dataset(), name)]

    def table_scores(self, *tables: str) -> list[str]:
        """Return the score files of the named tables, or of all tables."""
        dataset = self._dataset()
        tested = for_ablation(self.datasets[dataset])["sections"]["test"]
        folders = [f"<results>/{dataset}/ablation/{name}" for name in self._trainings(*tables)]
        return [f"{folder}/{section}.csv" for folder in folders for section in tested]

    def variant_models(self, dataset: str, variant: str) -> list[str]:
        """Return the paths of a variant's models, one per seed."""
        return [f"<results>/{dataset}/ablation/{variant}/model-s{seed}" for seed in self.config["ablation"]["seeds"]]

    def train_sections(self, dataset: str, variant: str, model_seed: str) -> list[str]:
        """Return the files of a variant's train sections.

        If the variant has a `share`, that share of the sections is drawn by the model's seed.
        """
        names = self.datasets[dataset]["sections"]["train"]
        shuffled = random.Random(f"{self.config['seed']}/{model_seed}").sample(names, len(names))
        share = self.config["ablation"]["variants"][variant].get("share", 1)
        drawn = shuffled[: max(round(share * len(names)), 1)]
        return [section_file(dataset, name) for name in names if name in drawn]

    def validation_sections(self, dataset: str) -> list[str]:
        """Return the files of the sections that variants are validated on."""
        names = for_ablation(self.datasets[dataset])["sections"]["validation"]
        return [section_file(dataset, name) for name in names]

    def vocabulary(self, dataset: str, variant: str) -> str:
        """Return the path of a variant's vocabulary.

        It is the dataset's vocabulary, unless the variant changes the vocabulary's settings.
        """
        if self.settings(dataset, "vocabulary", variant) == stage_settings(self.datasets[dataset], "vocabulary"):
            return f"<results>/{dataset}/vocabulary.npz"
        return f"<results>/{dataset}/ablation/{variant}/vocabulary.npz"

    def _dataset(self) -> str:
        """Return the dataset of the ablations; raise UserError if there is none."""
        datasets = self.selected_datasets()
        if not datasets:
            raise UserError(
                f"ablation.dataset: '{self.config['ablation']['dataset']}' is not a dataset of this run with train and "
                f"test sections (choose from {', '.join(self.generation.selected_datasets())})."
            )
        return datasets[0]

    def _trainings(self, *tables: str) -> list[str]:
        """List the variants to train for the named tables, or for all tables."""
        return list(dict.fromkeys(trained for _, trained, *_ in self.variants(*tables)))
