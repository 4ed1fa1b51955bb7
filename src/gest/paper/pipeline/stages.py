"""List the settings that each stage reads: other keys do not affect its results."""

import hashlib
import json
from copy import deepcopy

STAGES = {
    "section": (
        *("source", "path", "parts", "donors", "labels", "unassigned", "section_key", "donor_key", "microns_per_unit"),
        *("x", "layer", "spatial_key", "drop", "bin_size", "pitch_um", "proximal_um", "batches", "expected"),
    ),
    "cut": ("cut",),
    "vocabulary": ("vocabulary",),
    "pretraining": ("window", "model", "serialisation", "loss", "pretraining"),
    "crops": ("generation.crops",),
    "svg": ("svg.method",),
    "prediction": ("generation.seeds", "generation.continued_steps"),
    "representation": (
        *("labels", "clustering.windows", "clustering.continued_steps", "clustering.limits"),
        "clustering.organism",
    ),
    "clusters": ("labels", "clustering.algorithm"),
    "annotation": (
        *("labels", "annotation.pools", "annotation.training_cells", "annotation.steps", "annotation.batch_size"),
        *("annotation.learning_rate", "annotation.class_weights", "annotation.validate_every", "annotation.patience"),
        "annotation.held_out_cells",
    ),
    "perturbation": (
        *("perturbation.sham", "perturbation.regions", "perturbation.core_degs", "perturbation.section"),
        *("perturbation.roi", "perturbation.seeds", "perturbation.sigmas", "perturbation.context", "perturbation.deg"),
        *("perturbation.shuffles", "perturbation.shown"),
    ),
}


def stage_settings(dataset: dict, stage: str) -> dict:
    """Return the settings of a dataset that one stage reads."""
    settings: dict = {}
    for key in STAGES[stage]:
        *parents, last = key.split(".")
        source, target = dataset, settings
        for parent in parents:
            source, target = source[parent], target.setdefault(parent, {})
        if last in source:
            target[last] = deepcopy(source[last])
    return settings


def fingerprint(config: dict) -> str:
    """Return a hash of all keys and values of a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
