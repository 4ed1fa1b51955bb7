"""Check a configuration; each check raises a UserError of one sentence if it cannot be run."""

from collections.abc import Mapping

import jsonschema

from gest.errors import UserError

# Keys that define the data of a dataset; the other keys say how the data are used.
IDENTITY = ("source", "upstream", "path", "parts", "sections", "cut", "drop", "labels")


def check_schema(config: dict, schema: dict) -> None:
    """Refuse a configuration that the schema does not allow, and name the key."""
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(config))
    if error is None:
        return
    where = ".".join(str(key) for key in error.absolute_path) or "the top level"
    allowed = ""
    if error.validator == "additionalProperties":
        allowed = f"; allowed are {', '.join(error.schema['properties'])}"
    raise UserError(f"Configuration, {where}: {error.message}{allowed}; config/README.md describes every key.")


def check_run_name(config: dict, paper_datasets: Mapping[str, dict]) -> None:
    """Refuse the name 'paper' for a run on other data.

    Tables compare the numbers of a run of this name with the paper's.
    """
    if config["run"] != "paper":
        return
    other = "fixtures" if config["fixtures"] else None
    for name, dataset in config["datasets"].items():
        paper = paper_datasets.get(name, {})
        if any(dataset.get(key) != paper.get(key) for key in IDENTITY):
            other = name
            break
    if other:
        raise UserError(
            f"Configuration, run: 'paper' is the run on the paper's data, which {other} is not; choose another name."
        )


def check_tables(ablation: dict) -> None:
    """Refuse an ablation table with an unknown variant, or a reference not in it."""
    variants = ablation["variants"]
    for table, listed in ablation["tables"].items():
        for name in listed:
            if name not in variants:
                raise UserError(
                    f"Configuration, ablation.tables.{table}: unknown variant '{name}' (choose from "
                    f"{', '.join(variants)}), or describe a new one under ablation.variants."
                )
            reference = variants[name].get("against", name)
            if reference not in listed:
                raise UserError(
                    f"Configuration, ablation.tables.{table}: '{name}' is compared with '{reference}', which is not "
                    "listed; list it too."
                )


def check_items(items: dict, datasets: Mapping[str, dict], paper_datasets: Mapping[str, dict]) -> None:
    """Refuse a table or figure whose dataset neither this run nor the paper's has."""
    for item, listed in items.items():
        for dataset in [listed] if isinstance(listed, str) else listed or []:
            if dataset not in datasets and dataset not in paper_datasets:
                raise UserError(
                    f"Configuration, paper_items.{item}: unknown dataset '{dataset}' (choose from "
                    f"{', '.join(datasets)})."
                )


def check_generation(name: str, datasets: Mapping[str, dict]) -> None:
    """Refuse generation on an unknown dataset, or without train and test sections."""
    if name not in datasets:
        raise UserError(
            f"Configuration, generation.datasets: unknown dataset '{name}' (choose from "
            f"{', '.join(datasets) or 'none'}); describe a new one under datasets."
        )
    for role in ("train", "test"):
        if not datasets[name]["sections"][role]:
            raise UserError(
                f"Configuration, datasets.{name}.sections: no {role} section, and generation needs one; list it "
                f"under {role}."
            )


def check_sections(name: str, dataset: dict) -> None:
    """Refuse unknown sections, sections in two roles, and overlap with test sections."""
    sections = dataset["sections"]
    pairs = [("test", "train"), ("test", "validation"), ("validation", "train")]
    pairs += [("other", role) for role in ("train", "validation", "test")]
    for role, other in pairs:
        if shared := sorted(set(sections[role]) & set(sections[other])):
            raise UserError(
                f"Configuration, datasets.{name}.sections: '{shared[0]}' is both a {role} and a {other} section; "
                "a section has one role, so remove it from one of the two lists."
            )
    _check_parts(name, dataset)
    known = dataset["known"]
    unknown = sorted(set().union(*sections.values()) - set(known))
    if known and unknown:
        ellipsis = ", …" if len(known) > 8 else ""
        raise UserError(
            f"Configuration, datasets.{name}.sections: '{unknown[0]}' is not among its sections "
            f"({', '.join(known[:8])}{ellipsis}); choose one of these."
        )


def check_cut_names(datasets: Mapping[str, dict]) -> None:
    """Refuse a cut section with the name of another dataset's whole section.

    Rules tell cut and whole sections apart by name.
    """
    for name, dataset in datasets.items():
        for section in dataset.get("cut", {}):
            for other, settings in datasets.items():
                whole = set().union(*settings["sections"].values()) - set(settings.get("cut", {}))
                if section in whole:
                    raise UserError(
                        f"Configuration, datasets.{name}.cut: '{section}' is also a whole section of {other}; "
                        "rename the part."
                    )


def _check_parts(name: str, dataset: dict) -> None:
    """Refuse a test section that may share cells with a train or validation section."""
    cuts, sections = dataset.get("cut", {}), dataset["sections"]
    hidden = dataset["generation"]["crops"].get("polygon")
    for test in sections["test"]:
        for train in [*sections["train"], *sections["validation"]]:
            test_cut, train_cut = cuts.get(test, {}), cuts.get(train, {})
            of_one_section = test_cut.get("of", test) == train_cut.get("of", train)
            if of_one_section and not _are_disjoint(test_cut, train_cut, hidden):
                raise UserError(
                    f"Configuration, datasets.{name}.cut: the section '{train}' may hold cells of the test section "
                    f"'{test}', and methods learn from it; cut both along one `polygon`, or cut '{train}' along "
                    "`generation.crops.polygon` with `keep: outside`."
                )


def _are_disjoint(test_cut: dict, train_cut: dict, hidden: list | None) -> bool:
    """Return whether two parts of one section share no scored cell.

    Two cut sections must be the two sides of one polygon. If the test section is whole, the other part must lie outside
    the polygon whose cells are scored.
    """
    if test_cut and train_cut:
        return test_cut["polygon"] == train_cut["polygon"] and test_cut["keep"] != train_cut["keep"]
    return not test_cut and train_cut["keep"] == "outside" and train_cut["polygon"] == hidden
