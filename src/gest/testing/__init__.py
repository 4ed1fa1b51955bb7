"""Small upstream files with the schemas of the real ones, written by the simulator, for the toy run and the tests."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anndata import AnnData

from gest.data.sources.simulate import simulate
from gest.testing import abc_atlas, stereo_seq, stroke, visium

ADDRESS = "$GEST_FIXTURES"
"""Stands for the address of the server (`gest.testing.server`)."""
PLANTED = "pia_p_degs.csv"
"""What the injury of the stroke data does to genes around its core (`gest.testing.stroke.planted`)."""


def write_upstream(folder: Path, config: Mapping[str, Any]) -> None:
    """Write upstream files, and beside each what a registry would know of it (`FILE.entry.json`).

    Parameters
    ----------
    folder
        One folder is made in it per upstream set.
    config
        ``seed``; ``cells`` and ``spots``: keys of `gest.data.sources.simulate.simulate` for either platform; ``sets``: by
        name the ``source`` that reads it, its ``files``, and its ``sections``, by name or (of an atlas) their number.
    """
    for name, about in config["sets"].items():
        WRITERS[about["source"]](folder / name, about, config)
        for path in sorted(path for path in (folder / name).rglob("*") if path.is_file()):
            url = f"{ADDRESS}/{path.relative_to(folder).as_posix()}"
            content = path.read_bytes()
            known = {"size": len(content), "md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}
            entry = {"urls": [url], **known}
            if about["source"] == "stroke":
                article = folder / "v2" / "articles" / name
                article.parent.mkdir(parents=True)
                files = [{"name": path.name, "download_url": url, "computed_md5": known["md5"], "size": known["size"]}]
                article.write_text(json.dumps({"files": files}))
                entry = {"figshare": f"{ADDRESS}/v2/articles/{name}"}
            path.with_name(f"{path.name}.entry.json").write_text(json.dumps(entry))


def _tissue(platform: str, names: Sequence[str], config: Mapping[str, Any], donor: str | None = None) -> list[AnnData]:
    """Sections spread evenly along the axis of one animal, or of an animal each."""
    settings = {"seed": config["seed"], "platform": platform} | config[platform]
    return [
        simulate(name, donor=donor or name, slice=(i + 0.5) / len(names), **settings) for i, name in enumerate(names)
    ]


def _write_atlas(folder: Path, about: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    raw = next(file for file in about["files"] if file.endswith("-raw.h5ad"))
    dataset = raw.removesuffix("-raw.h5ad")
    # Numbers with gaps, as upstream: three of the 150 sections imaged are missing there.
    names = [f"{dataset}.{2 * i + 3:03d}" for i in range(about["sections"])]
    abc_atlas.write(folder, _tissue("cells", names, config, donor=dataset), dataset=dataset)


def _write_visium(folder: Path, about: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    for name, section in zip(about["sections"], _tissue("spots", about["sections"], config), strict=True):
        visium.write(folder / name, section)


def _write_stereo_seq(folder: Path, about: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    (section,) = _tissue("cells", about["sections"], config)
    stereo_seq.write(folder / about["files"][0], section)


def _write_stroke(folder: Path, about: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    sections = _tissue("spots", about["sections"], config)
    stroke.write(folder / about["files"][0], sections)
    known = stroke.planted(sections)["around"]
    # In the form of gest/paper/ischemia/pia_p_degs.csv, and beside the upstream folders: it is no upstream file.
    known[known != ""].rename_axis("gene").rename("truth").to_csv(folder.with_name(PLANTED))


WRITERS = {
    "abc_atlas": _write_atlas,
    "visium": _write_visium,
    "stereo_seq": _write_stereo_seq,
    "stroke": _write_stroke,
}
