"""Write the table of configuration keys in config/README.md from the schema: `python config/describe.py`."""

from collections.abc import Iterator
from pathlib import Path

import yaml

CONFIG = Path(__file__).parent
SCHEMA = yaml.safe_load((CONFIG.parent / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
START, END = "<!-- every key: written by config/describe.py -->\n", "<!-- end of every key -->\n"
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
TYPES = {"array": "list", "null": "null", "object": "map"}
SETTINGS = {"window", "vocabulary", "model", "serialisation", "loss", "pretraining", "generation", "svg"}
SETTINGS |= {"clustering", "annotation"}
MISSING = object()


def resolve(schema: dict) -> dict:
    """Replace a `$ref` by its definition; keys beside the reference win."""
    while "$ref" in schema:
        definition = SCHEMA
        for name in schema["$ref"].removeprefix("#/").split("/"):
            definition = definition[name]
        schema = definition | {key: value for key, value in schema.items() if key != "$ref"}
    return schema


def list_keys(schema: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Yield every key that holds a value, with its schema.

    Settings of the run that a dataset or variant may override are listed once, at the top level. A key without a
    description inherits the one of its map.
    """
    in_dataset_or_variant = bool(path) and path[-1] == "NAME"
    for name, entry in schema.get("properties", {}).items():
        if in_dataset_or_variant and name in SETTINGS:
            continue
        entry = resolve(entry)
        inner = entry.get("additionalProperties")
        inner = resolve(inner) if isinstance(inner, dict) else {}
        if (*path, name) == ("upstream",):
            yield (name,), entry  # its keys stand in config/datasets.yaml
        elif "properties" in entry:
            yield from list_keys(entry, (*path, name))
        elif "properties" in inner:
            yield from list_keys(inner, (*path, name, "NAME"))
        else:
            yield (*path, name), {"description": schema.get("description", "")} | entry


def format_type(schema: dict) -> str:
    """Describe the allowed values of a key."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    text = " or ".join(TYPES.get(name, name) for name in types)
    if "items" in schema and "array" in types:
        text += f" ({format_type(resolve(schema['items']))})"
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


def format_table() -> str:
    """Format all keys as a Markdown table."""
    lines = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for path, schema in list_keys(SCHEMA):
        cells = [f"`{'.'.join(path)}`", format_type(schema), format_default(path), schema.get("description", "")]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def replace_table(text: str) -> str:
    """Replace the table between its two marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{format_table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    readme = CONFIG / "README.md"
    readme.write_text(replace_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
