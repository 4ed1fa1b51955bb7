# Functions only: what the configuration means, and which files follow from it.
# Needs: the merged configuration. Makes: one resolved configuration per dataset, and the lists of files to make.

import json
import os
import re
from copy import deepcopy
from itertools import product
from pathlib import Path

import jsonschema
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

# Keys that a dataset takes over from the run, and may give anew.
SHARED = (
    "window",
    "vocabulary",
    "model",
    "serialisation",
    "loss",
    "pretraining",
    "generation",
    "svg",
)

# What each stage reads: a change of any other key leaves what the stage made valid.
STAGES = {
    "section": (
        *("source", "path", "section_key", "donor_key", "labels", "microns_per_unit"),
        *("x", "layer", "spatial_key", "drop", "simulation"),
    ),
    "vocabulary": ("vocabulary",),
    "pretraining": ("window", "model", "serialisation", "loss", "pretraining"),
    "crops": ("generation.crops",),
    "svg": ("svg.method",),
    "prediction": ("generation.continued_steps",),
}

MODEL_METHODS = ("gest", "gest_continued")
SEEDED_METHODS = (*MODEL_METHODS, "gp", "mlp")
METHODS = (*SEEDED_METHODS, "mean_of_seen", "nearest_seen", "true_metacells")


def check_schema(config, path):
    """Stop with one sentence at the first key that the schema does not allow."""
    validator = jsonschema.Draft202012Validator(yaml.safe_load(path.read_text()))
    error = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if error is not None:
        where = ".".join(str(key) for key in error.absolute_path) or "the top level"
        allowed = ""
        if error.validator == "additionalProperties":
            allowed = f"; allowed are {', '.join(error.schema['properties'])}"
        raise WorkflowError(f"Configuration, {where}: {error.message}{allowed}; config/README.md describes every key.")


def stop(sentence):
    """Stop while the jobs are being listed; Snakemake would add a traceback to any exception but an exit."""
    raise SystemExit(f"Error: {sentence}")


def resolve_datasets(config):
    """Every dataset's configuration in full: the run's settings, and over them the dataset's own."""
    data_dir = Path(config["data_dir"] or os.environ.get("GEST_DATA") or "data")
    datasets = {}
    for name, own in config["datasets"].items():
        dataset = deepcopy({key: config[key] for key in SHARED})
        update_config(dataset, own)
        dataset["sections"] = {
            role: [str(s) for s in own["sections"].get(role, [])] for role in ("train", "validation", "test")
        }
        if own["source"] == "anndata":
            dataset["path"] = str(data_dir / own["path"])
        check_sections(name, dataset)
        datasets[name] = dataset
    for name in config["generation"]["datasets"]:
        check_generation(name, datasets)
    return datasets


def check_sections(name, dataset):
    """Stop if a test section is trained on, or a simulated section is not described."""
    sections = dataset["sections"]
    for role, other in (("test", "train"), ("test", "validation"), ("validation", "train")):
        if shared := sorted(set(sections[role]) & set(sections[other])):
            raise WorkflowError(
                f"Configuration, datasets.{name}.sections: '{shared[0]}' is both a {role} and a {other} section; "
                "what is scored must not be learnt from, so take it out of one of the two lists."
            )
    if dataset["source"] == "simulate":
        known = dataset["simulation"]["sections"]
        if unknown := sorted(set().union(*sections.values()) - set(known)):
            raise WorkflowError(
                f"Configuration, datasets.{name}.sections: '{unknown[0]}' is not among the simulated sections "
                f"({', '.join(known)}); describe it under simulation.sections."
            )


def check_generation(name, datasets):
    """Stop if cells cannot be generated on a dataset."""
    if name not in datasets:
        raise WorkflowError(
            f"Configuration, generation.datasets: '{name}' is not among the datasets ({', '.join(datasets) or 'none'}); "
            "describe it under datasets."
        )
    for role in ("train", "test"):
        if not datasets[name]["sections"][role]:
            raise WorkflowError(
                f"Configuration, datasets.{name}.sections: there is no {role} section, where generation needs at least "
                f"one; list it under {role}."
            )


def one_of(names):
    """Pattern that matches these names alone; one that matches nothing if there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def datasets_from(source):
    """Names of the datasets of one source."""
    return [name for name, dataset in DATASETS.items() if dataset["source"] == source]


def stage_settings(wildcards):
    """What one stage reads of a dataset's configuration, as JSON."""
    settings = {}
    for key in STAGES[wildcards.stage]:
        *parents, last = key.split(".")
        source, target = DATASETS[wildcards.dataset], settings
        for parent in parents:
            source, target = source[parent], target.setdefault(parent, {})
        if last in source:
            target[last] = source[last]
    return json.dumps(settings, indent=2)


def data_file(wildcards):
    """The user's file that a dataset's sections are in; stop with one sentence if it is not there."""
    path = DATASETS[wildcards.dataset]["path"]
    if not Path(path).is_file():
        stop(
            f"datasets.{wildcards.dataset}.path: there is no file {path}; name its folder with `--config data_dir=FOLDER` "
            "or the environment variable GEST_DATA."
        )
    return path


def sections_for(role):
    """Input function: the sections of a dataset in one role."""

    def files(wildcards):
        names = DATASETS[wildcards.dataset]["sections"][role]
        return [f"<results>/{wildcards.dataset}/sections/{name}.h5ad" for name in names]

    return files


def validation_options(wildcards, input):
    """The validation sections as options of `gest pretrain`."""
    return [f"--validation={path}" for path in input.validation]


def svg_top(wildcards):
    """Size of the set of spatially variable genes."""
    return DATASETS[wildcards.dataset]["svg"]["top"]


def needs_model(wildcards):
    """Whether a method predicts with a pre-trained model; the others need the vocabulary alone."""
    return wildcards.method in MODEL_METHODS


def runs(dataset, method):
    """Names of a method's runs on a dataset, one per seed of the model and of the method."""
    model_seeds = config["model_seeds"] if method in MODEL_METHODS else [0]
    seeds = DATASETS[dataset]["generation"]["seeds"] if method in SEEDED_METHODS else [0]
    return [f"{method}-m{model_seed}-s{seed}" for model_seed, seed in product(model_seeds, seeds)]


def generation_datasets():
    """Datasets to generate cells on; stop with one sentence if there are none."""
    names = config["generation"]["datasets"]
    if not names:
        stop(
            "generation.datasets is empty, for the readers of the paper's datasets are not there yet; run the toy "
            "with `--configfile config/toy.yaml`, or describe your own dataset (config/README.md)."
        )
    return names


def score_files(wildcards):
    """The scores of every run of every method on every test section."""
    return [
        f"<results>/{dataset}/generation/{section}/{run}.csv"
        for dataset in generation_datasets()
        for section in DATASETS[dataset]["sections"]["test"]
        for method in DATASETS[dataset]["generation"]["methods"]
        for run in runs(dataset, method)
    ]


def figure_folder():
    """Where the first test section of the first dataset is generated: the one that is drawn."""
    dataset = generation_datasets()[0]
    return dataset, DATASETS[dataset]["sections"]["test"][0]


def figure_inputs(wildcards):
    """What the figure of generated genes is drawn from: one section, and the first run of each method on it."""
    dataset, section = figure_folder()
    folder = f"<results>/{dataset}/generation/{section}"
    methods = DATASETS[dataset]["generation"]["methods"]
    return {
        "section": f"<results>/{dataset}/sections/{section}.h5ad",
        "vocabulary": f"<results>/{dataset}/vocabulary.npz",
        "crops": f"{folder}/crops.json",
        "svg": f"{folder}/svg.csv",
        "predictions": [f"{folder}/{runs(dataset, method)[0]}.h5ad" for method in methods],
    }


def deliverables(wildcards):
    """Every table and figure of the run."""
    generation_datasets()
    return ["<results>/tables/generation.csv", "<results>/figures/generation_genes.png"]
