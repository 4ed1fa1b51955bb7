# Functions only: what the configuration means.
# Needs: the merged configuration. Makes: one resolved configuration per dataset.

import fnmatch
import hashlib
import json
import os
import random
import re
from copy import deepcopy
from pathlib import Path

import jsonschema
import yaml
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
        *(
            "source",
            "path",
            "parts",
            "donors",
            "labels",
            "unassigned",
            "section_key",
            "donor_key",
            "microns_per_unit",
            "x",
            "layer",
        ),
        *("spatial_key", "drop", "bin_size", "pitch_um", "proximal_um", "batches", "expected"),
    ),
    "cut": ("cut",),
    "vocabulary": ("vocabulary",),
    "pretraining": PRETRAINING,
    "crops": ("generation.crops",),
    "svg": ("svg.method",),
    "prediction": ("generation.seeds", "generation.continued_steps"),
    "representation": (
        "labels",
        "clustering.windows",
        "clustering.continued_steps",
        "clustering.limits",
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


def check_run(config, papers):
    """Stop at a run that is named as the paper's and made of other data: its numbers would be compared with the paper."""
    told = ("source", "upstream", "path", "parts", "sections", "cut", "drop", "labels")
    other = [
        name
        for name, about in config["datasets"].items()
        if any(about.get(key) != papers.get(name, {}).get(key) for key in told)
    ]
    if config["run"] == "paper" and (config["fixtures"] or other):
        raise WorkflowError(
            f"Configuration, run: 'paper' is the run on the paper's data, which {other[0] if other else 'fixtures'} is not; give "
            "the run a name of its own."
        )


def stop(sentence):
    """Stop while the jobs are being listed; Snakemake would add a traceback to any exception but an exit."""
    raise SystemExit(f"Error: {sentence}")


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


def check_tables(ablation):
    """Stop at a table of the ablations that lists what is no variant."""
    for table, listed in ablation["tables"].items():
        if unknown := [name for name in listed if name not in ablation["variants"]]:
            raise WorkflowError(
                f"Configuration, ablation.tables.{table}: there is no variant '{unknown[0]}', only "
                f"{', '.join(ablation['variants'])}; name one of these, or describe it under ablation.variants."
            )
        for name in listed:
            against = ablation["variants"][name].get("against", name)
            if against not in listed:
                raise WorkflowError(
                    f"Configuration, ablation.tables.{table}: '{name}' is ordered against '{against}', which is not listed; "
                    "list it too."
                )


def niche_windows(dataset):
    """Sides of the niches that are clustered: that of training, and before it the smaller ones that were asked for."""
    return [side for side in dataset["clustering"]["windows"] if side < dataset["window"]] + [dataset["window"]]


def check_cut_names(datasets):
    """Stop if one dataset cuts out a section that bears the name of another dataset's: rules tell them by name."""
    for name, dataset in datasets.items():
        for section in dataset.get("cut", {}):
            for other, about in datasets.items():
                if section in set().union(*about["sections"].values()) - set(about.get("cut", {})):
                    raise WorkflowError(
                        f"Configuration, datasets.{name}.cut: '{section}' is also a whole section of {other}; name the part "
                        "otherwise."
                    )


def check_items(items, datasets, papers):
    """Stop at an item that is to be made of a dataset which there is neither in this run nor in the paper's."""
    for item, named in items.items():
        for dataset in [named] if isinstance(named, str) else named or []:
            if dataset not in datasets and dataset not in papers:
                raise WorkflowError(
                    f"Configuration, paper_items.{item}: there is no dataset '{dataset}', only {', '.join(datasets)}; name "
                    "one of these."
                )


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


def check_sections(name, dataset):
    """Stop if a section has two roles, or is not among the known ones."""
    sections = dataset["sections"]
    for role, other in (
        ("test", "train"),
        ("test", "validation"),
        ("validation", "train"),
        *(("other", r) for r in ROLES[:3]),
    ):
        if shared := sorted(set(sections[role]) & set(sections[other])):
            raise WorkflowError(
                f"Configuration, datasets.{name}.sections: '{shared[0]}' is both a {role} and a {other} section; "
                "what is scored must not be learnt from, so take it out of one of the two lists."
            )
    check_parts(name, dataset)
    if dataset["known"] and (unknown := sorted(set().union(*sections.values()) - set(dataset["known"]))):
        raise WorkflowError(
            f"Configuration, datasets.{name}.sections: '{unknown[0]}' is not among its sections "
            f"({', '.join(dataset['known'][:8])}{', …' * (len(dataset['known']) > 8)}); name one of these."
        )


def check_parts(name, dataset):
    """Stop if what is tested on may share cells with what is learnt from, because both are parts of one section."""
    cuts, sections = dataset.get("cut", {}), dataset["sections"]
    hidden = dataset["generation"]["crops"].get("polygon")
    for tested in sections["test"]:
        for learnt in [*sections["train"], *sections["validation"]]:
            if cuts.get(tested, {}).get("of", tested) != cuts.get(learnt, {}).get("of", learnt):
                continue
            a, b = (cuts.get(section, {}) for section in (tested, learnt))
            # Two sides of one outline, or a whole whose hidden cells are just those that were cut away.
            opposite = a and b and a["polygon"] == b["polygon"] and a["keep"] != b["keep"]
            if not (opposite or (not a and b["keep"] == "outside" and b["polygon"] == hidden)):
                raise WorkflowError(
                    f"Configuration, datasets.{name}.cut: '{learnt}' is learnt from and may hold cells that are tested on in "
                    f"'{tested}'; cut both along one `polygon`, or test in `generation.crops.polygon`, the same as that of "
                    f"'{learnt}', which keeps what is outside."
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


def none_of(names):
    """Pattern that matches any name of an .h5ad but these."""
    return rf"(?!(?:{one_of(names)})\.h5ad$)[^/]+"


def one_of(names):
    """Pattern that matches these names alone; one that matches nothing if there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"
