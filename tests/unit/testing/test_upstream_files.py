"""The simulated upstream files of the toy run, and the commands that read them."""

import hashlib
import json
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest
import yaml

from gest.testing import write_upstream

REGISTRY = yaml.safe_load((Path(__file__).parents[3] / "config" / "datasets.yaml").read_text())["upstream"]
SECTIONS = {
    "zhuang_abca_2": ("abc_atlas", 3),
    "liver_cancer": ("visium", ["HCC-1N", "HCC-1L"]),
    "stereo_seq": ("stereo_seq", ["sagittal"]),
    "stroke": ("stroke", ["PT1-1", "Sham1-1"]),
}
CONFIG = {
    "seed": 0,
    "cells": {"n_cells": 200, "width_um": 500, "height_um": 400, "n_genes": 20},
    "spots": {"n_cells": 1500, "width_um": 1500, "height_um": 1400, "n_genes": 20},
    "sets": {
        name: {"source": source, "sections": sections, "files": list(REGISTRY[name]["files"])}
        for name, (source, sections) in SECTIONS.items()
    },
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upstream") / "files"
    write_upstream(folder, CONFIG)
    return folder


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_of_the_registry_is_written_with_its_entry(upstream):
    for name, (_, sections) in SECTIONS.items():
        for file in REGISTRY[name]["files"]:
            for sample in sections if "{sample}" in file else [""]:
                path = upstream / name / file.replace("{sample}", sample)
                entry = json.loads(path.with_name(f"{path.name}.entry.json").read_text())
                content = path.read_bytes()
                if "figshare" in entry:
                    (entry,) = json.loads((upstream / "v2" / "articles" / name).read_text())["files"]
                assert entry["size"] == len(content)
                assert (entry.get("md5") or entry["computed_md5"]) == hashlib.md5(content).hexdigest()


def test_same_seed_same_bytes(upstream, tmp_path):
    write_upstream(tmp_path, CONFIG)
    assert files(tmp_path) == files(upstream)


def atlas(tmp_path, upstream, **changes):
    part = {"path": str(upstream / "zhuang_abca_2"), "sections": 3, "expected": {"cells": 600, "genes": 20}} | changes
    settings = {"source": "abc_atlas", "labels": {"region": "parcellation_structure"}, "parts": {"m": part}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    return (
        "paper",
        "import-atlas",
        "--dataset-config",
        tmp_path / "config.json",
        "--part",
        "m",
        "--out",
        tmp_path / "out",
    )


def test_an_atlas_is_read_section_by_section(upstream, tmp_path, verb):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.h5ad").touch()
    verb(*atlas(tmp_path, upstream))
    table = pd.read_csv(tmp_path / "out" / "m.csv")
    assert table["section"].tolist() == ["Zhuang-ABCA-2.003", "Zhuang-ABCA-2.005", "Zhuang-ABCA-2.007"]
    for name, section in zip(table["name"], table["section"], strict=True):
        assert set(ad.read_h5ad(tmp_path / "out" / f"{name}.h5ad").obs["section"]) == {section}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("m.csv", "other.h5ad", "m_001.h5ad", "m_002.h5ad", "m_003.h5ad")
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expected": {"cells": 601}}, "there are 600 cells (expected 601)"),
        ({"sections": 4}, "brain_section_label names 3 sections (expected 4)"),
        ({"path": "nowhere"}, "nowhere"),
    ],
)
def test_an_atlas_that_is_not_as_expected_leaves_nothing(upstream, tmp_path, capsys, changes, message, verb):
    verb(*atlas(tmp_path, upstream, **changes), expect=2)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("settings", "section"),
    [
        ({"source": "visium", "path": "liver_cancer", "donors": {"HCC-1L": "HCC-1"}}, "HCC-1L"),
        ({"source": "stereo_seq", "path": "stereo_seq", "expected": {"genes": 20}}, "sagittal"),
        ({"source": "stroke", "path": "stroke/Mouse_brain_stroke_all_data.h5", "proximal_um": 300}, "PT1-1"),
    ],
)
def test_sections_that_are_read_one_by_one(upstream, tmp_path, monkeypatch, settings, section, verb):
    monkeypatch.chdir(upstream)
    (tmp_path / "config.json").write_text(json.dumps(settings))
    out = tmp_path / "section.h5ad"
    verb("paper", "import", "--dataset-config", tmp_path / "config.json", "--section", section, "--out", out)
    obs = ad.read_h5ad(out).obs
    assert set(obs["section"]) == {section}
    assert set(obs["donor"]) == {settings.get("donors", {}).get(section, section)}


def test_a_section_with_other_numbers_than_expected_is_refused(upstream, tmp_path, capsys, verb):
    settings = {"source": "visium", "path": str(upstream / "liver_cancer"), "expected": {"cells_of": {"HCC-1L": 9}}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    out = tmp_path / "section.h5ad"
    verb("paper", "import", "--dataset-config", tmp_path / "config.json", "--section", "HCC-1L", "--out", out, expect=2)
    assert "cells (expected 9)" in capsys.readouterr().err
    assert not out.exists()
