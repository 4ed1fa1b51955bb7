"""Generated documents are current, links resolve, and the README lists every item of the paper."""

import importlib
import re
import runpy
import subprocess
import sys
from pathlib import Path

import yaml

import gest

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"


def test_the_map_of_the_paper_is_current(tmp_path):
    for name in ("Snakefile", "workflow", "config", "profiles", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "paper_map"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    written, kept = ((folder / "docs" / "paper_map.md").read_text() for folder in (tmp_path, ROOT))
    assert written == kept, "out of date; run: snakemake --cores 1 --force paper_map"


def test_every_table_and_figure_of_the_paper_is_on_the_map():
    text = (ROOT / "docs" / "paper_map.md").read_text()
    rows = re.findall(r"^\| (Table|Figure) ([\dA-Z.]+c?): .*? \| `(\w+)` \|", text, flags=re.M)
    assert len(rows) == len(set(rows)) == 8 + 3 + 10
    for kind, number, target in rows:
        assert target == f"{kind}_{number}".lower().replace(".", "")
    for path in re.findall(r"\]\(\.\./(.*?)\)", text):
        assert (ROOT / path).exists(), path


def test_the_readme_has_every_item_with_its_target():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"^\| .*? \| `(\w+)` \|", (ROOT / "docs" / "paper_map.md").read_text(), flags=re.M):
        assert re.search(rf"`snakemake .*\b{target}\b", text), target


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")]:
        for link, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", document.read_text()):
            target = document.parent / link if link else document
            assert link.startswith("http") or target.exists(), f"{document.name}: {link}"
            if anchor and target.suffix == ".md":
                assert anchor in anchors(target), f"{document.name}: {link}#{anchor}"


def test_functions_named_after_a_file_are_in_it():
    for document in ROOT.glob("docs/*.md"):
        for path, name in re.findall(r"\]\((\S+\.py)\) `([\w.]+)`", document.read_text()):
            defined = re.findall(r"(?:def|class) (\w+)", (document.parent / path).read_text())
            assert set(name.split(".")) <= set(defined), f"{document.name}: {name} in {path}"


def anchors(document):
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), flags=re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_schema_has_the_methods_of_the_registry_and_the_table_of_keys_is_current():
    describe = runpy.run_path(str(ROOT / "config" / "describe.py"))
    readme, schema = (ROOT / "config" / "README.md").read_text(), SCHEMA.read_text()
    assert describe["write_schema"](schema) == schema, "out of date; run: python config/describe.py"
    assert describe["write_readme"](readme, schema) == readme, "out of date; run: python config/describe.py"


def test_every_key_of_the_configuration_is_in_the_table():
    """Keys of datasets, variants and fixtures are not checked here."""
    described = set(re.findall(r"^\| `([\w.]+)` \|", (ROOT / "config" / "README.md").read_text(), flags=re.M))

    def leaves(settings, path):
        for key, value in settings.items():
            if isinstance(value, dict):
                yield from leaves(value, [*path, key])
            else:
                yield ".".join([*path, key])

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    del config["datasets"], config["ablation"]["variants"], config["fixtures"]
    assert set(leaves(config, [])) <= described


def test_no_description_of_a_key_was_cut_at_a_comma():
    """In braces, YAML ends an unquoted text at a comma and reads the rest as a key without a value."""

    def values(node):
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            yield value
            yield from values(value)

    assert not any(value is None for value in values(yaml.safe_load(SCHEMA.read_text())))


def test_the_reference_has_every_public_name_and_only_modules_that_exist():
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    modules = re.findall(r"^::: (gest\.\S+)$", pages, flags=re.M)
    for module in modules:
        importlib.import_module(module)
    links = dict(re.findall(r"\[`(gest\.\w+)`\]\[(gest\.\S+?)\]", pages))
    assert links.keys() == {f"gest.{name}" for name in gest.__all__}
    for name, target in links.items():
        if target not in modules:
            module, _, attribute = target.rpartition(".")
            assert module in modules, name
            assert hasattr(sys.modules[module], attribute), name
