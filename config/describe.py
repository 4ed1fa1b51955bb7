"""Generate parts of the schema and of config/README.md: `python config/describe.py`.

The schema gets its methods from `gest.baselines.registry`; the table of keys in README.md is generated from the schema
and config.yaml.
"""

from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import yaml

from gest.baselines import registry

CONFIG = Path(__file__).parent
README, SCHEMA_FILE = CONFIG / "README.md", CONFIG.parent / "workflow" / "schemas" / "config.schema.yaml"
DEFAULTS = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
TABLE_MARKS = "<!-- every key: written by config/describe.py -->\n", "<!-- end of every key -->\n"
METHODS_MARKS = (
    "  # Methods: written by config/describe.py from gest.baselines.registry\n",
    "  # End of methods\n",
)
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
TYPES = {"array": "list", "null": "null", "object": "map"}
SETTINGS = {"window", "vocabulary", "model", "serialisation", "loss", "pretraining", "generation", "svg"}
SETTINGS |= {"clustering", "annotation"}
MISSING = object()


def define_methods() -> dict:
    """Define the methods of every task as entries of the schema's `$defs`."""
    seeds = {"$ref": "#/$defs/n_seeds"}
    definitions = {f"{task}_methods": {"enum": list(registry.names(task))} for task in ("generation", "svg")}
    for task in ("clustering", "annotation"):
        properties = {}
        for method in registry.methods(task):
            ending = f". {method.description}" if method.description else f" of {method.rows[0].label}."
            properties[method.name] = seeds | {"description": f"Number of seeds{ending}"}
        definitions[f"{task}_methods"] = {
            "description": "Number of seeds per method; 0 leaves the method out.",
            "type": "object",
            "additionalProperties": False,
            "properties": properties,
        }
    limit = {"type": "integer", "minimum": 100}
    definitions["clustering_limits"] = {
        "description": "Maximum number of cells for this method; larger sections are subsampled at random.",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: dict(limit) for name in registry.packaged_names("clustering")},
    }
    return definitions


def resolve(schema: dict, root: dict) -> dict:
    """Replace a `$ref` by its definition; keys beside the reference take precedence."""
    while "$ref" in schema:
        definition = root
        for name in schema["$ref"].removeprefix("#/").split("/"):
            definition = definition[name]
        schema = definition | {key: value for key, value in schema.items() if key != "$ref"}
    return schema


def list_keys(schema: dict, root: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Yield every key that holds a value, with its schema.

    Settings of the run that a dataset or variant may override are listed once, at the top level. A key without a
    description gets that of the map that holds it.
    """
    in_dataset_or_variant = bool(path) and path[-1] == "NAME"
    for name, entry in schema.get("properties", {}).items():
        if in_dataset_or_variant and name in SETTINGS:
            continue
        entry = resolve(entry, root)
        inner = entry.get("additionalProperties")
        inner = resolve(inner, root) if isinstance(inner, dict) else {}
        if (*path, name) == ("upstream",):
            yield (name,), entry  # its keys are in config/datasets.yaml
        elif "properties" in entry:
            yield from list_keys(entry, root, (*path, name))
        elif "properties" in inner:
            yield from list_keys(inner, root, (*path, name, "NAME"))
        else:
            yield (*path, name), {"description": schema.get("description", "")} | entry


def format_type(schema: dict, root: dict) -> str:
    """Describe the allowed values of a key."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    text = " or ".join(TYPES.get(name, name) for name in types)
    if "items" in schema and "array" in types:
        text += f" ({format_type(resolve(schema['items'], root), root)})"
    bounds = [f"{phrase} {schema[bound]:g}" for bound, phrase in BOUNDS.items() if bound in schema]
    return f"{text} {', '.join(bounds)}".strip()


def format_default(path: tuple[str, ...]) -> str:
    """Format the value in config.yaml as short YAML; empty if it has none."""
    value = DEFAULTS
    for name in path:
        value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
    if value is MISSING:
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"`{text}`" if len(text) < 60 else "*see there*"


def format_table(root: dict) -> str:
    """Format all keys of the schema as a Markdown table."""
    lines = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for path, schema in list_keys(root, root):
        cells = [f"`{'.'.join(path)}`", format_type(schema, root), format_default(path), schema.get("description", "")]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def replace_between(text: str, marks: tuple[str, str], content: str) -> str:
    """Replace the text between two marks."""
    start, end = marks
    before, _, rest = text.partition(start)
    return f"{before}{start}{content}{end}{rest.partition(end)[2]}"


def write_schema(text: str) -> str:
    """Return the schema's text with the methods of the registry."""
    block = yaml.safe_dump(define_methods(), sort_keys=False, allow_unicode=True, width=1000)
    return replace_between(text, METHODS_MARKS, indent(block, "  "))


def write_readme(text: str, schema: str) -> str:
    """Return README.md's text with the table of a schema's keys."""
    return replace_between(text, TABLE_MARKS, f"\n{format_table(yaml.safe_load(schema))}\n")


if __name__ == "__main__":
    schema = write_schema(SCHEMA_FILE.read_text(encoding="utf-8"))
    SCHEMA_FILE.write_text(schema, encoding="utf-8")
    README.write_text(write_readme(README.read_text(encoding="utf-8"), schema), encoding="utf-8")
