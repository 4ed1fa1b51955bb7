"""Write the table of every key into config/README.md, as the schema has it: `python config/describe.py`."""

from collections.abc import Iterator
from pathlib import Path

import yaml

CONFIG = Path(__file__).parent
SCHEMA = yaml.safe_load((CONFIG.parent / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
START, END = "<!-- every key: written by config/describe.py -->\n", "<!-- end of every key -->\n"
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
_ABSENT = object()


def resolved(schema: dict) -> dict:
    """Lay what a reference says under what stands beside it."""
    while "$ref" in schema:
        found = SCHEMA
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        schema = found | {key: value for key, value in schema.items() if key != "$ref"}
    return schema


def keys(schema: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Every key that holds a value; what datasets and variants take over from the run is left out there.

    A key without a description of its own has that of the map it stands in.
    """
    own = {name: about for name, about in schema.get("properties", {}).items() if not path or name not in shared(path)}
    for name, about in own.items():
        about = resolved(about)
        inner = about.get("additionalProperties")
        if (*path, name) == ("upstream",):
            yield (name,), about  # config/datasets.yaml
        elif "properties" in about:
            yield from keys(about, (*path, name))
        elif isinstance(inner, dict) and "properties" in resolved(inner):
            yield from keys(resolved(inner), (*path, name, "NAME"))
        else:
            yield (*path, name), {"description": schema.get("description", "")} | about


def shared(path: tuple[str, ...]) -> set[str]:
    """Names of the run's settings, in a dataset or a variant."""
    settings = {"window", "vocabulary", "model", "serialisation", "loss", "pretraining", "generation", "svg"}
    return settings | {"clustering", "annotation"} if path[-1] == "NAME" else set()


def allowed(schema: dict) -> str:
    """Say in words what values a key may have."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    bounds = [f"{words} {schema[bound]:g}" for bound, words in BOUNDS.items() if bound in schema]
    text = " or ".join({"array": "list", "null": "null", "object": "map"}.get(name, name) for name in types)
    if "items" in schema and "array" in types:
        text += f" ({allowed(resolved(schema['items']))})"
    return " ".join([text, ", ".join(bounds)]).strip()


def default(path: tuple[str, ...]) -> str:
    """Return the value of config.yaml, in YAML's short form; nothing where every dataset has its own."""
    value = DEFAULTS
    for name in path:
        value = value.get(name, _ABSENT) if isinstance(value, dict) else _ABSENT
    if value is _ABSENT:
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"`{text}`" if len(text) < 60 else "*see there*"


def table() -> str:
    """Lay every key out as Markdown."""
    lines = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for path, about in keys(SCHEMA):
        meaning = about.get("description", "").replace("|", "\\|")
        lines.append(
            f"| `{'.'.join(path)}` | {allowed(about)} | {default(path).replace('|', chr(92) + '|')} | {meaning} |"
        )
    return "\n".join(lines) + "\n"


def rendered(text: str) -> str:
    """Set the table between its marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    readme = CONFIG / "README.md"
    readme.write_text(rendered(readme.read_text(encoding="utf-8")), encoding="utf-8")
