"""Complete a configuration: add defaults, and resolve the settings of every dataset."""

import fnmatch
import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from gest.errors import UserError
from gest.paper.pipeline.checks import check_cut_names, check_generation, check_sections

# Settings of the run that a dataset may override.
SHARED = (
    *("window", "vocabulary", "model", "serialisation", "loss", "pretraining", "generation", "svg", "clustering"),
    *("annotation", "perturbation"),
)
ROLES = ("train", "validation", "test", "other")


def read_yaml(*paths: str | os.PathLike) -> dict:
    """Read and merge YAML files; later files override earlier ones."""
    merged: dict = {}
    for path in paths:
        lay_over(merged, yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    return merged


def lay_over(config: dict, changes: Mapping[str, Any]) -> None:
    """Apply changes to a configuration in place: merge maps, replace other values."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            if not isinstance(config.get(key), Mapping):
                config[key] = {}
            lay_over(config[key], value)
        else:
            config[key] = value


def with_defaults(config: dict, defaults: dict) -> dict:
    """Add the keys that a configuration lacks.

    If the configuration describes datasets that are not in the defaults, only these are kept.
    """
    complete: dict = {}
    for layer in (config, defaults, config):  # once for the order of its keys, once for its values
        lay_over(complete, layer)
    others = {name: dataset for name, dataset in complete["datasets"].items() if name not in defaults["datasets"]}
    return complete | {"datasets": others or complete["datasets"]}


def data_folder(config: dict) -> Path:
    """Return the folder of downloads and of users' own files."""
    return Path(config["data_dir"] or os.environ.get("GEST_DATA") or "data")


def resolve_datasets(config: dict) -> dict[str, dict]:
    """Return the settings of every dataset: the run's, overridden by its own."""
    datasets = {}
    for name, settings in config["datasets"].items():
        dataset = deepcopy({key: config[key] for key in SHARED})
        lay_over(dataset, settings)
        _add_upstream(name, dataset, config)
        dataset["sections"] = _sections_by_role(name, dataset)
        check_sections(name, dataset)
        check_sections(f"{name}.ablation", for_ablation(dataset))
        dataset["clustering"]["windows"] = _niche_windows(dataset)
        datasets[name] = dataset
    for name in config["generation"]["datasets"] or []:
        check_generation(name, datasets)
    check_cut_names(datasets)
    return datasets


def for_ablation(dataset: dict) -> dict:
    """Return a dataset with the validation and test sections that ablations use."""
    return dataset | {"sections": dataset["sections"] | dataset.get("ablation", {})}


def part_sections(part: str, settings: dict) -> list[str]:
    """Name the sections of a part of the ABC Atlas by their rank.

    Their upstream names are unknown before the download; their number is in the configuration.
    """
    has_held_out = settings.get("held_out") is not None
    n_ranked = settings["sections"] - has_held_out
    ranked = [f"{part}_{rank:03d}" for rank in range(1, n_ranked + 1)]
    return [*ranked, f"{part}_validation"] if has_held_out else ranked


def _add_upstream(name: str, dataset: dict, config: dict) -> None:
    """Add the path of a dataset's files, and their content as far as it is known.

    `known` lists the names of the sections, `donors` their donors, and `expected` the totals to check.
    """
    folder = data_folder(config)
    known: dict[str, Any] = {}
    if dataset["source"] == "abc_atlas":
        for part, settings in dataset["parts"].items():
            upstream = _upstream_set(f"{name}.parts.{part}", settings, config)
            settings |= {"path": str(folder / settings["upstream"]), "expected": upstream.get("expected")}
            known |= dict.fromkeys(part_sections(part, settings))
    elif "upstream" in dataset:
        upstream = _upstream_set(name, dataset, config)
        known = upstream.get("samples") or {}
        path = folder / dataset["upstream"]
        if dataset["source"] == "stroke":  # one file holds all sections
            path /= next(iter(upstream["files"]))
        dataset |= {"path": str(path), "donors": known, "expected": upstream.get("expected")}
    elif "path" in dataset:
        dataset["path"] = str(folder / dataset["path"])
    else:
        raise UserError(f"Configuration, datasets.{name}: its files are not named; add `path` or `upstream`.")
    dataset["known"] = [*known, *dataset.get("cut", {})] if known else []


def _upstream_set(name: str, settings: dict, config: dict) -> dict:
    """Return the entry of config/datasets.yaml that describes a dataset's files."""
    if settings["upstream"] not in config["upstream"]:
        raise UserError(
            f"Configuration, datasets.{name}.upstream: '{settings['upstream']}' is not in config/datasets.yaml (choose "
            f"from {', '.join(config['upstream'])}), or describe your files with `path`."
        )
    return config["upstream"][settings["upstream"]]


def _sections_by_role(name: str, dataset: dict) -> dict[str, list[str]]:
    """List sections by role.

    A pattern selects those known sections that match it and that no role names explicitly.
    """
    listed = {role: [str(section) for section in dataset["sections"].get(role, [])] for role in ROLES}
    named = {section for role in ROLES for section in listed[role] if "*" not in section}
    free = [section for section in dataset["known"] if section not in named]
    by_role = {}
    for role in ROLES:
        by_role[role] = [section for section in listed[role] if "*" not in section]
        for pattern in (section for section in listed[role] if "*" in section):
            matching = fnmatch.filter(free, pattern)
            if not matching:
                raise UserError(
                    f"Configuration, datasets.{name}.sections.{role}: no known section matches '{pattern}' "
                    f"({', '.join(dataset['known'][:8]) or 'none are known'}); name the sections one by one."
                )
            by_role[role] += matching
    return by_role


def _niche_windows(dataset: dict) -> list[int]:
    """Return the sides of the windows whose niches are clustered.

    These are the configured sides that are smaller than the model's window, and the model's window itself.
    """
    return [side for side in dataset["clustering"]["windows"] if side < dataset["window"]] + [dataset["window"]]
