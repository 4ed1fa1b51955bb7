"""All annotation methods learn from the same training cells and return one labelling per run."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import gest
from gest.baselines import registry
from gest.errors import UserError
from gest.hub.load import load
from gest.paper.methods import annotation_gest, annotation_packaged
from gest.paper.methods.annotation import fit, label
from gest.paper.scores.runs import read_labellings
from gest.sections import write_section
from gest.tasks.annotation.fine_tuning import Settings

LEVELS = ["division", "region"]
QUICK = Settings(steps=6, batch_size=8, validate_every=3)


@pytest.fixture
def paths(sections, tmp_path):
    """Write two training sections, the second with few labels, and a test section that lacks five genes."""
    written = []
    for i in range(3):
        section = sections[i % 2].copy()
        section.obs_names = [f"{i}_{name}" for name in section.obs_names]
        section.obs["section"] = f"s{i}"
        if i == 1:
            seen = section.obsm["spatial"][:, 0] < 200
            section.obs["region"] = section.obs["region"].astype(object).where(seen)
        write_section(section[:, 5:] if i == 2 else section, tmp_path / f"s{i}.h5ad")
        written.append(tmp_path / f"s{i}.h5ad")
    return written


@pytest.fixture
def packaged(monkeypatch):
    """Replace packaged methods, and record their input.

    The replacement gives each cell the label of the training cell with the most similar total count.
    """
    calls = []

    def run(method, **arrays):
        calls.append({"method": method} | arrays)
        seeds = arrays["seeds"]
        output = {"seconds": np.full(len(seeds), 2.0), "peak_mb": np.float64(50), "version": np.str_("Package 1.0")}
        file = f"{arrays['folder']}.npz"
        if "test_data" not in arrays:
            np.savez(file, labels=arrays["labels"], totals=_totals(arrays, ""))
            return output
        learnt = np.load(file)
        nearest = np.abs(_totals(arrays, "test_")[:, None] - learnt["totals"]).argmin(1)
        return output | {"predicted": np.tile(learnt["labels"][nearest], (len(seeds), 1))}

    monkeypatch.setattr(annotation_packaged, "run_packaged", run)
    return calls


def _totals(arrays, test):
    shape = (len(arrays[f"{test}indptr"]) - 1, len(arrays["genes"]))
    counts = sp.csr_matrix(tuple(arrays[f"{test}{part}"] for part in ("data", "indices", "indptr")), shape=shape)
    return np.asarray(counts.sum(1)).ravel()


@pytest.mark.parametrize("method", registry.names("annotation"))
@pytest.mark.filterwarnings("ignore:5 of the model's 40 genes")
def test_every_method_keeps_the_contract(paths, model, vocabulary, packaged, tmp_path, method):
    learnt = {"models": [model]} if method == "gest" else {"vocabulary": vocabulary}
    settings = {"seeds": range(2), "settings": QUICK, "training_cells": 100}
    fit(method, paths[:2], LEVELS, out=tmp_path / method, **learnt, **settings)
    labellings = label(tmp_path / method, paths[2])
    variants = ["mean", "max"] if method == "gest" else ["default"]
    seeds = [0] if method == "majority" else [0, 1]
    assert [(run.level, run.variant, run.seed) for run in labellings] == [
        (level, variant, seed) for level in LEVELS for variant in variants for seed in seeds
    ]
    for run in labellings:
        assert (run.method, run.status) == (method, "ok")
        assert run.model_seed == (0 if method == "gest" else None)
        assert len(run.labels) == 500
        assert run.covered.all()
        assert set(run.labels) <= set(gest.sections.read_section(paths[0]).obs[run.level])
        assert run.seconds > 0
        assert run.peak_mb > 0
        assert run.version.split()[0] in ("gest", "Package")
    assert not list(tmp_path.glob("*.partial"))


def test_all_methods_learn_from_the_same_cells(paths, model, vocabulary, packaged, tmp_path, monkeypatch):
    targets = []
    train = annotation_gest.train_annotator
    monkeypatch.setattr(
        annotation_gest,
        "train_annotator",
        lambda sections, *a, **k: targets.append(sections) or train(sections, *a, **k),
    )
    settings = {"settings": QUICK, "training_cells": 120, "pools": ["mean"]}
    fit("gest", paths[:2], LEVELS, out=tmp_path / "g", models=[model], **settings)
    fit("scanvi", paths[:2], LEVELS, out=tmp_path / "s", vocabulary=vocabulary, **settings)
    read = [gest.sections.read_section(path) for path in paths[:2]]
    for level, target, call in zip(LEVELS, targets, packaged, strict=True):
        cells = [section.labels != "" for section in target]
        assert sum(mask.sum() for mask in cells) == 120
        assert all(section.obs[level][mask].notna().all() for section, mask in zip(read, cells, strict=True))
        counts = sp.vstack([section.X[mask] for section, mask in zip(read, cells, strict=True)])
        shape = (120, len(call["genes"]))
        arrays = sp.csr_matrix((call["data"], call["indices"], call["indptr"]), shape=shape)
        np.testing.assert_array_equal(arrays.toarray(), counts.toarray())
        labels = np.concatenate([section.obs[level][mask] for section, mask in zip(read, cells, strict=True)])
        np.testing.assert_array_equal(call["labels"], labels)
        names = np.concatenate([section.obs["section"][mask] for section, mask in zip(read, cells, strict=True)])
        np.testing.assert_array_equal(call["sections"], names)


def test_packages_get_counts_of_the_panel(paths, vocabulary, packaged, tmp_path, caplog):
    fit("celltypist", paths[:2], ["region"], out=tmp_path / "c", vocabulary=vocabulary)
    label(tmp_path / "c", paths[2])
    call = packaged[-1]
    assert list(call["genes"]) == list(vocabulary.genes)
    assert "celltypist: 5 of the 40 genes learnt from are missing in section s2 and count as zero there" in caplog.text
    counts = sp.csr_matrix(tuple(call[f"test_{part}"] for part in ("data", "indices", "indptr")), shape=(500, 40))
    section = gest.sections.read_section(paths[2])
    expected = pd.DataFrame(section.X.toarray(), columns=section.var_names).reindex(columns=vocabulary.genes).fillna(0)
    np.testing.assert_array_equal(counts.toarray(), expected)


@pytest.mark.slow
def test_packages_learn_from_genes_that_all_training_sections_hold(paths, vocabulary, packaged, tmp_path, caplog):
    lacking = gest.sections.read_section(paths[2])
    fit("celltypist", [paths[0], paths[2]], ["region"], out=tmp_path / "c", vocabulary=vocabulary)
    label(tmp_path / "c", paths[1])
    held = vocabulary.genes[np.isin(vocabulary.genes, lacking.var_names)]
    assert len(held) == 35
    read = [gest.sections.read_section(path) for path in paths]
    for call, test, cells in ((packaged[0], "", (read[0], read[2])), (packaged[1], "test_", (read[1],))):
        np.testing.assert_array_equal(call["genes"], held)
        expected = sp.vstack([section[:, held].X for section in cells])
        csr = tuple(call[f"{test}{part}"] for part in ("data", "indices", "indptr"))
        np.testing.assert_array_equal(sp.csr_matrix(csr, shape=expected.shape).toarray(), expected.toarray())
    assert not caplog.text
    for i, genes in enumerate((held[:20], held[20:])):
        write_section(read[0][:, genes], tmp_path / f"apart{i}.h5ad")
    apart = [tmp_path / "apart0.h5ad", tmp_path / "apart1.h5ad"]
    with pytest.raises(UserError, match="celltypist: the training sections share none of the 40 genes"):
        fit("celltypist", apart, ["region"], out=tmp_path / "d", vocabulary=vocabulary)


def test_majority_is_the_commonest_label_of_all_cells_together(paths, tmp_path):
    fit("majority", paths[:2], ["region"], out=tmp_path / "m")
    labels = pd.concat([gest.sections.read_section(path).obs["region"].astype(object) for path in paths[:2]])
    assert set(label(tmp_path / "m", paths[2])[0].labels) == {labels.value_counts().idxmax()}


def test_the_annotator_of_a_run_is_that_of_the_public_function(paths, model, tmp_path):
    fit("gest", paths[:2], ["region"], out=tmp_path / "g", models=[model], seeds=[3], pools=["max"], settings=QUICK)
    (labellings,) = label(tmp_path / "g", paths[0])
    settings = {"steps": 6, "batch_size": 8, "validate_every": 3}
    annotator = gest.fit_annotator(paths[:2], model, label="region", pool="max", seed=3, **settings)
    expected = gest.annotate(gest.sections.read_section(paths[0]), annotator, seed=3).obs["gest_region"]
    np.testing.assert_array_equal(labellings.labels, expected)


def test_a_run_that_fails_says_why_and_leaves_the_others(paths, vocabulary, packaged, tmp_path, monkeypatch):
    run = annotation_packaged.run_packaged

    def fails(method, **arrays):
        if "test_data" not in arrays and set(arrays["labels"]) <= {"cortex", "nuclei", "fibre_tract", "interstitium"}:
            raise UserError("scanvi: it failed.")
        if "test_data" in arrays and len(packaged) > 2:
            raise UserError("scanvi: it failed later")
        return run(method, **arrays)

    monkeypatch.setattr(annotation_packaged, "run_packaged", fails)
    fit("scanvi", paths[:2], LEVELS, out=tmp_path / "s", vocabulary=vocabulary, training_cells=100)
    division, region = label(tmp_path / "s", paths[2])
    assert division.status == "scanvi: it failed; it was given 100 cells."
    assert not division.covered.any()
    assert np.isnan(division.seconds)
    assert (region.status, region.covered.all(), region.seconds) == ("ok", True, 4.0)
    packaged.append({})
    assert label(tmp_path / "s", paths[2])[1].status == "scanvi: it failed later"


def test_user_errors(paths, model, sections, vocabulary, tmp_path):
    out = tmp_path / "o"
    with pytest.raises(UserError, match="choose gest, scanvi, celltypist or majority"):
        fit("singler", paths[:2], LEVELS, out=out)
    with pytest.raises(UserError, match="'gest' needs a model directory"):
        fit("gest", paths[:2], LEVELS, out=out)
    with pytest.raises(UserError, match="'scanvi' needs the vocabulary's genes"):
        fit("scanvi", paths[:2], LEVELS, out=out)
    with pytest.raises(UserError, match="no level of labels; list columns of obs under 'labels'"):
        fit("majority", paths[:2], [], out=out)
    with pytest.raises(UserError, match="has no column 'layer'"):
        fit("majority", paths[:2], ["layer"], out=out)
    normalised = sections[0].copy()
    normalised.X = normalised.X.log1p()
    normalised.uns["gest"] = {"x": "normalised"}
    write_section(normalised, tmp_path / "n.h5ad")
    with pytest.raises(UserError, match="scanvi: needs counts"):
        fit("scanvi", [tmp_path / "n.h5ad"], LEVELS, out=out, vocabulary=vocabulary)
    assert not list(tmp_path.glob("o*")), "nothing half-written is left"
    with pytest.raises(UserError, match="cannot read what was learnt"):
        label(out, paths[2])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:5 of the model's 40 genes")
def test_verbs(paths, model, tmp_path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    model.save("model")
    annotation = {"pools": ["max"], "training_cells": 100, "steps": 4, "batch_size": 4, "validate_every": 2}
    annotation |= {"methods": {"gest": 2}, "datasets": None}  # the workflow's, not read here
    labels = {"division": "division", "region": "region"}
    (tmp_path / "c.json").write_text(json.dumps({"annotation": annotation, "labels": labels}))
    learn = ("fit-annotator", *paths[:2], "--model", "model", "--config", "c.json", "--label", "division")
    verb(*learn, "--validation", paths[0], "--out", "annotator")
    assert load("annotator").metrics["training_cells"] == 100
    verb("annotate", paths[2], "--annotator", "annotator", "--out", "a.h5ad")
    result = gest.sections.read_section("a.h5ad")
    assert set(result.obs["gest_division"]) <= set(result.uns["gest_division"]["classes"])
    learn = (
        "paper",
        "learn-labels",
        *paths[:2],
        "--method",
        "gest",
        "--n-seeds",
        2,
        "--model",
        "model",
        "--config",
        "c.json",
    )
    verb(*learn, "--out", "gest")
    verb("paper", "label", paths[2], "--learnt", "gest", "--out", "labels.csv")
    labellings, cells = read_labellings("labels.csv")
    assert [run.column for run in labellings] == [f"max/{level}/0/{seed}" for level in labels for seed in (0, 1)]
    assert list(cells) == list(result.obs_names)


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        ({"step": 5}, "annotation.step: unknown key (choose steps, batch_size"),
        ({"pool": "max"}, "annotation.pool: unknown key"),
        ({"steps": "x"}, "annotation.steps: 'x' is not of type int"),
    ],
)
@pytest.mark.parametrize("name", ["fit-annotator", "paper learn-labels"])
def test_settings_that_cannot_be_are_refused(paths, model, tmp_path, capsys, annotation, sentence, name, verb):
    model.save(tmp_path / "model")
    (tmp_path / "c.json").write_text(json.dumps({"annotation": annotation, "labels": {"region": "region"}}))
    options = {"fit-annotator": ("--label", "region"), "paper learn-labels": ("--method", "gest")}[name]
    arguments = (*name.split(), paths[0], "--model", tmp_path / "model", "--config", tmp_path / "c.json", *options)
    assert sentence in refused(verb, capsys, *arguments, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_learning_needs_levels_and_nothing_else_of_a_config(paths, tmp_path, capsys, verb):
    learn = ("paper", "learn-labels", *paths[:2], "--method", "majority", "--out", tmp_path / "m")
    assert "no level of labels" in refused(verb, capsys, *learn)
    (tmp_path / "c.json").write_text(json.dumps({"labels": {"region": "region"}}))
    verb(*learn, "--config", tmp_path / "c.json")
    assert len(label(tmp_path / "m", paths[0])) == 1


def test_an_occupied_folder_is_refused_before_training(paths, model, tmp_path, monkeypatch, capsys, verb):
    model.save(tmp_path / "model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    trained = []
    monkeypatch.setattr(
        sys.modules["gest.tasks.annotation.fit_annotator"], "fit_annotator", lambda *_, **__: trained.append(1)
    )
    learn = ("fit-annotator", paths[0], "--model", tmp_path / "model", "--label", "region")
    assert "already exists without annotator.json" in refused(verb, capsys, *learn, "--out", tmp_path / "mine")
    assert not trained


def refused(verb, capsys, *arguments):
    """Run a verb that must end in one sentence, and return it."""
    verb(*arguments, expect=2)
    (message,) = capsys.readouterr().err.splitlines()
    return message
