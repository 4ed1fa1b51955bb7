# Functions only: what the configuration means.
# Needs: the merged configuration. Makes: one resolved configuration per dataset.

import fnmatch
import hashlib
import json
import os
import re
from copy import deepcopy
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

# Keys that a dataset takes over from the run, and may give anew.
SHARED = (
    *("window", "vocabulary", "model", "serialisation", "loss", "pretraining", "generation", "svg", "clustering"),
    *("annotation", "perturbation"),
)

PRETRAINING = ("window", "model", "serialisation", "loss", "pretraining")

# What each stage reads: a change of any other key leaves what the stage made valid.
STAGES = {
    "section": (
        *("source", "path", "parts", "donors", "labels", "unassigned", "section_key", "donor_key", "microns_per_unit"),
        *("x", "layer", "spatial_key", "drop", "bin_size", "pitch_um", "proximal_um", "batches", "expected"),
    ),
    "cut": ("cut",),
    "vocabulary": ("vocabulary",),
    "pretraining": PRETRAINING,
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

ROLES = ("train", "validation", "test", "other")
MODEL_METHODS = ("gest", "gest_continued")
METHODS = (*MODEL_METHODS, "gp", "mlp", "mean_of_seen", "nearest_seen", "true_metacells")
# Methods that label cells, by task, and the isolated environments that packaged ones run in.
LABELLING = {
    "clustering": (
        *MODEL_METHODS,
        *("graphst", "nichecompass", "spagcn", "stagate", "raw", "coordinates", "shuffled"),
    ),
    "annotation": ("gest", "scanvi", "celltypist", "majority"),
}
ENVIRONMENTS = {
    **{"graphst": "spatial", "spagcn": "spatial", "stagate": "stagate", "nichecompass": "nichecompass"},
    **{"scanvi": "annotation", "celltypist": "annotation"},
}
# What each of the paper's items that is not of generation is made of.
ITEM_TASKS = {
    **dict.fromkeys(("table_1", "table_a2", "figure_a6"), "clustering"),
    **dict.fromkeys(("table_2", "figure_a7"), "annotation"),
    **dict.fromkeys(("table_a3", "figure_5"), "perturbation"),
}


def fingerprint(config):
    """A hash of all keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def folder_of_data(config):
    """Where upstream files and users' files lie."""
    return Path(config["data_dir"] or os.environ.get("GEST_DATA") or "data")


def without_the_papers(datasets, papers):
    """A configuration that describes datasets of its own does without those of config/config.yaml."""
    return {name: about for name, about in datasets.items() if name not in papers} or datasets


def resolve_datasets(config):
    """Every dataset's configuration in full: the run's settings, and over them the dataset's own."""
    datasets = {}
    for name, own in config["datasets"].items():
        dataset = deepcopy({key: config[key] for key in SHARED})
        update_config(dataset, own)
        describe_upstream(name, dataset, config)
        dataset["sections"] = section_lists(name, dataset)
        check_sections(name, dataset)
        check_sections(f"{name}.ablation", ablated(dataset))
        dataset["clustering"]["windows"] = niche_windows(dataset)
        datasets[name] = dataset
    for name in config["generation"]["datasets"] or []:
        check_generation(name, datasets)
    check_cut_names(datasets)
    return datasets


def ablated(dataset):
    """The dataset as the ablations see it: with validation and test sections of their own, where it names such."""
    return dataset | {"sections": dataset["sections"] | dataset.get("ablation", {})}


def niche_windows(dataset):
    """Sides of the niches that are clustered: that of training, and before it the smaller ones that were asked for."""
    return [side for side in dataset["clustering"]["windows"] if side < dataset["window"]] + [dataset["window"]]


def describe_upstream(name, dataset, config):
    """Add what is known of a dataset's files: where they lie, its sections' names, their donors, expected shapes."""
    folder = folder_of_data(config)
    known = {}
    if dataset["source"] == "abc_atlas":
        for part, about in dataset["parts"].items():
            upstream = upstream_set(f"{name}.parts.{part}", about, config)
            about |= {"path": str(folder / about["upstream"]), "expected": upstream.get("expected")}
            known |= dict.fromkeys(part_sections(part, about))
    elif "upstream" in dataset:
        upstream = upstream_set(name, dataset, config)
        known = upstream.get("samples") or {}
        # All sections of the stroke data are in its one file.
        path = folder / dataset["upstream"] / (next(iter(upstream["files"])) if dataset["source"] == "stroke" else "")
        dataset |= {"path": str(path), "donors": known, "expected": upstream.get("expected")}
    elif "path" in dataset:
        dataset["path"] = str(folder / dataset["path"])
    else:
        raise WorkflowError(
            f"Configuration, datasets.{name}: where its files lie is missing; give `path` or `upstream`."
        )
    dataset["known"] = list(known) + list(dataset.get("cut", {})) * bool(known)


def upstream_set(name, about, config):
    """The entry of config/datasets.yaml that a dataset is read from."""
    if about["upstream"] not in config["upstream"]:
        raise WorkflowError(
            f"Configuration, datasets.{name}.upstream: '{about['upstream']}' is not in config/datasets.yaml, which has "
            f"{', '.join(config['upstream'])}; name one of these, or describe your files with `path`."
        )
    return config["upstream"][about["upstream"]]


def part_sections(part, about):
    """Names of an atlas's sections: their number is known, their upstream names are not, so they go by rank."""
    held_out = about.get("held_out") is not None
    ranked = [f"{part}_{rank:03d}" for rank in range(1, about["sections"] + 1 - held_out)]
    return ranked + [f"{part}_validation"] * held_out


def section_lists(name, dataset):
    """Sections by role. A pattern stands for the known sections it fits that are named in no other role."""
    given = {role: [str(section) for section in dataset["sections"].get(role, [])] for role in ROLES}
    patterns = {role: [section for section in given[role] if "*" in section] for role in ROLES}
    named = {section for role in ROLES for section in given[role] if section not in patterns[role]}
    lists = {}
    for role in ROLES:
        lists[role] = [section for section in given[role] if section not in patterns[role]]
        for pattern in patterns[role]:
            fitting = [section for section in fnmatch.filter(dataset["known"], pattern) if section not in named]
            if not fitting:
                raise WorkflowError(
                    f"Configuration, datasets.{name}.sections.{role}: no known section fits '{pattern}' "
                    f"({', '.join(dataset['known'][:8]) or 'none are known'}); name the sections one by one."
                )
            lists[role] += fitting
    return lists


def none_of(names):
    """Pattern that matches any name of an .h5ad but these."""
    return rf"(?!(?:{one_of(names)})\.h5ad$)[^/]+"


def one_of(names):
    """Pattern that matches these names alone; one that matches nothing if there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"
