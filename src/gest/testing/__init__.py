"""Write small simulated upstream files with the schemas of the real ones, for the toy run and the tests."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anndata import AnnData

from gest.data.sources.simulate import simulate
from gest.testing import abc_atlas, stereo_seq, stroke, visium

ADDRESS = "$GEST_FIXTURES"
"""Placeholder for the address of the server (`gest.testing.server`)."""
PLANTED = "pia_p_degs.csv"
"""Table of the effect of the simulated injury on genes around its core (`gest.testing.stroke.planted`)."""


def write_upstream(folder: Path, config: Mapping[str, Any]) -> None:
    """Write upstream files, each with its registry entry (`FILE.entry.json`).

    Parameters
    ----------
    folder
        Folder in which a folder per upstream set is created.
    config
        ``seed``; ``cells`` and ``spots``: parameters of `gest.data.sources.simulate.simulate` for each platform;
        ``sets``: for each set by name, the ``source`` that reads it, its ``files`` and its ``sections`` (their names;
        for an atlas, their number).
    """
    for name, upstream_set in config["sets"].items():
        WRITERS[upstream_set["source"]](folder / name, upstream_set, config)
        for path in sorted(path for path in (folder / name).rglob("*") if path.is_file()):
            url = f"{ADDRESS}/{path.relative_to(folder).as_posix()}"
            content = path.read_bytes()
            size_and_md5 = {"size": len(content), "md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}
            entry = {"urls": [url], **size_and_md5}
            if upstream_set["source"] == "stroke":
                article = folder / "v2" / "articles" / name
                article.parent.mkdir(parents=True)
                files = [
                    {
                        "name": path.name,
                        "download_url": url,
                        "computed_md5": size_and_md5["md5"],
                        "size": size_and_md5["size"],
                    }
                ]
                article.write_text(json.dumps({"files": files}))
                entry = {"figshare": f"{ADDRESS}/v2/articles/{name}"}
            path.with_name(f"{path.name}.entry.json").write_text(json.dumps(entry))


def _tissue(platform: str, names: Sequence[str], config: Mapping[str, Any], donor: str | None = None) -> list[AnnData]:
    """Simulate sections at even steps along the axis.

    They are of one animal if `donor` is given, else of one animal each.
    """
    settings = {"seed": config["seed"], "platform": platform} | config[platform]
    return [
        simulate(name, donor=donor or name, slice=(i + 0.5) / len(names), **settings) for i, name in enumerate(names)
    ]


def _write_atlas(folder: Path, upstream_set: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    raw = next(file for file in upstream_set["files"] if file.endswith("-raw.h5ad"))
    dataset = raw.removesuffix("-raw.h5ad")
    # Section numbers have gaps, as upstream, where 3 of the 150 imaged sections are missing.
    names = [f"{dataset}.{2 * i + 3:03d}" for i in range(upstream_set["sections"])]
    abc_atlas.write(folder, _tissue("cells", names, config, donor=dataset), dataset=dataset)


def _write_visium(folder: Path, upstream_set: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    for name, section in zip(upstream_set["sections"], _tissue("spots", upstream_set["sections"], config), strict=True):
        visium.write(folder / name, section)


def _write_stereo_seq(folder: Path, upstream_set: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    (section,) = _tissue("cells", upstream_set["sections"], config)
    stereo_seq.write(folder / upstream_set["files"][0], section)


def _write_stroke(folder: Path, upstream_set: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    sections = _tissue("spots", upstream_set["sections"], config)
    stroke.write(folder / upstream_set["files"][0], sections)
    truth = stroke.planted(sections)["around"]
    # In the format of gest/paper/ischemia/pia_p_degs.csv. It is not an upstream file, so it is not in the set's folder.
    truth[truth != ""].rename_axis("gene").rename("truth").to_csv(folder.with_name(PLANTED))


WRITERS = {
    "abc_atlas": _write_atlas,
    "visium": _write_visium,
    "stereo_seq": _write_stereo_seq,
    "stroke": _write_stroke,
}
