# Functions only: which configurations cannot be, each refused with one sentence.
# Needs: the merged configuration, and of some the resolved one.

import jsonschema
import yaml
from snakemake.exceptions import WorkflowError


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


def check_items(items, datasets, papers):
    """Stop at an item that is to be made of a dataset which there is neither in this run nor in the paper's."""
    for item, named in items.items():
        for dataset in [named] if isinstance(named, str) else named or []:
            if dataset not in datasets and dataset not in papers:
                raise WorkflowError(
                    f"Configuration, paper_items.{item}: there is no dataset '{dataset}', only {', '.join(datasets)}; name "
                    "one of these."
                )


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


def stop(sentence):
    """Stop while the jobs are being listed; Snakemake would add a traceback to any exception but an exit."""
    raise SystemExit(f"Error: {sentence}")
