"""The structure of the registry of upstream files, and totals that its numbers must give."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

REGISTRY = Path(__file__).parents[3] / "config" / "datasets.yaml"
UPSTREAM = yaml.safe_load(REGISTRY.read_text())["upstream"]
FILES = [
    pytest.param(upstream, name, id=f"{key}/{name}") for key, upstream in UPSTREAM.items() for name in upstream["files"]
]


def test_the_five_sets():
    assert list(UPSTREAM) == ["zhuang_abca_1", "zhuang_abca_2", "liver_cancer", "stereo_seq", "stroke"]


@pytest.mark.parametrize("upstream", UPSTREAM.values(), ids=UPSTREAM.keys())
def test_set(upstream):
    assert upstream.keys() - {"samples"} == {"title", "citation", "licence", "page", "expected", "files"}
    assert upstream["licence"] is None or isinstance(upstream["licence"], str)
    assert re.fullmatch(r"https?://\S+", upstream["page"])
    assert re.search(r" \(20\d\d\)\. doi:10\.\d{4,}/\S+$", upstream["citation"])
    cells_of_section = upstream["expected"].get("cells_of", {})
    assert cells_of_section.keys() <= upstream.get("samples", {}).keys()
    assert upstream["expected"].keys() <= {"cells", "sections", "genes", "cells_of"}
    numbers = {**upstream["expected"], **cells_of_section}
    for value in (value for key, value in numbers.items() if key != "cells_of"):
        low, high = value if isinstance(value, list) else (value, value)
        assert isinstance(low, int)
        assert isinstance(high, int)
        assert 0 < low <= high


@pytest.mark.parametrize(("upstream", "name"), FILES)
def test_file(upstream, name):
    file = upstream["files"][name]
    assert file.keys() <= {"urls", "figshare", "size", "md5", "sha256", "otherwise"}
    assert ("urls" in file) != ("figshare" in file)
    for url in file.get("urls", [file.get("figshare")]):
        assert re.fullmatch(r"https://\S+", url)
    assert file["size"] is None or (isinstance(file["size"], int) and file["size"] > 0)
    # A hash must be text: YAML reads an unquoted hash of digits only, or with one e, as a number.
    assert file["md5"] is None or re.fullmatch(r"[0-9a-f]{32}", file["md5"])
    for other in (name, *file.get("otherwise", [])):
        assert not Path(other).is_absolute()
        assert ".." not in Path(other).parts
        assert ("{sample}" in other) == ("{sample}" in name)
    assert "{sample}" not in name or upstream["samples"]


def test_mouse_files_are_all_known_and_of_the_right_size():
    mice = [UPSTREAM[f"zhuang_abca_{number}"] for number in (1, 2)]
    for number, mouse in enumerate(mice, start=1):
        assert list(mouse["files"]) == [
            f"Zhuang-ABCA-{number}-raw.h5ad",
            "cell_metadata.csv",
            "gene.csv",
            "ccf_coordinates.csv",
            "parcellation_to_parcellation_term_membership_acronym.csv",
        ]
        for name, file in mouse["files"].items():
            assert [url.rsplit("/", 1)[1] for url in file["urls"]] == [name]
            assert file["md5"]
    first, both = (
        sum(file["size"] for mouse in subset for file in mouse["files"].values()) for subset in (mice[:1], mice)
    )
    assert (round(first / 1e9, 2), round(both / 1e9, 2)) == (1.97, 2.82)
    # Both mice have the same panel of genes and the same table of regions.
    for name in ("gene.csv", "parcellation_to_parcellation_term_membership_acronym.csv"):
        assert mice[0]["files"][name]["md5"] == mice[1]["files"][name]["md5"]


def test_liver_samples():
    samples = UPSTREAM["liver_cancer"]["samples"]
    patients = {"HCC-1": 3, "HCC-2": 4, "HCC-3": 3, "HCC-4": 3, "HCC-5": 4, "cHC-1": 3, "ICC-1": 1}
    assert Counter(samples.values()) == patients
    assert len(samples) == 21 == UPSTREAM["liver_cancer"]["expected"]["sections"]
    assert all(re.fullmatch(re.escape(patient) + "[NLTPABCD]", sample) for sample, patient in samples.items())


def test_stroke_sections():
    samples = UPSTREAM["stroke"]["samples"]
    assert list(samples) == [f"{animal}-{number}" for animal in ("PT1", "Sham1") for number in (1, 2, 3, 4)]
    assert len(samples) == 8 == UPSTREAM["stroke"]["expected"]["sections"]


def test_what_no_program_can_fetch_says_so():
    for key in ("liver_cancer", "stereo_seq"):
        assert all(file["urls"] == [] for file in UPSTREAM[key]["files"].values())
    assert list(UPSTREAM["stroke"]["files"]) == ["Mouse_brain_stroke_all_data.h5"]
