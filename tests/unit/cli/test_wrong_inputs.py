"""Mistakes of users: each ends in one sentence and exit code 2, and leaves no file behind."""

import shlex
import shutil
import subprocess
import sys
import warnings

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import TINY

from gest import GeST, cli
from gest.hub.export import export


@pytest.fixture(scope="module")
def desk(tmp_path_factory, sections, vocabulary):
    """Make a folder with a section, a model, and damaged copies of the model."""
    folder = tmp_path_factory.mktemp("desk")
    sections[0].write_h5ad(folder / "good.h5ad")
    ad.concat(sections).write_h5ad(folder / "both.h5ad")
    vocabulary.save(folder / "v.npz")
    GeST(TINY, vocabulary).save(folder / "m")
    for name in ("damaged", "misfit"):
        shutil.copytree(folder / "m", folder / name)
    (folder / "damaged" / "model.safetensors").write_bytes(b"no weights")
    config = (folder / "m" / "config.json").read_text()
    (folder / "misfit" / "config.json").write_text(config.replace('"width": 16', '"width": 32'))
    export(folder / "m", folder / "tampered")
    with (folder / "tampered" / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    export(folder / "m", folder / "lacking")
    (folder / "lacking" / "vocabulary.npz").unlink()
    (folder / "occupied").mkdir()
    (folder / "occupied" / "thesis.docx").write_text("years of work")
    (folder / "cells.h5ad").write_text("x,y\n")
    (folder / "model.zip").write_text("no archive")
    (folder / "some.zarr").mkdir()
    (folder / "broken.yaml").write_text("window: [300")
    (folder / "list.yaml").write_text("- 300\n")
    (folder / "text.yaml").write_text("pretraining: {learning_rate: 1e-3}\n")
    (folder / "unknown.yaml").write_text("model: {depth: 3}\n")
    (folder / "zero.yaml").write_text("pretraining: {steps: 0}\n")
    (folder / "vocabulary.yaml").write_text("vocabulary: {metacells: 3}\n")
    return folder


def rename_genes(function):
    """Return a function that renames the genes of a section."""

    def change(adata):
        adata.var_names = [function(name) for name in adata.var_names]

    return change


def change_values(function):
    """Return a function that changes the values of X."""

    def change(adata):
        adata.X = sp.csr_matrix(function(adata.X.toarray()))
        del adata.uns["gest"]

    return change


def change_coordinates(function):
    """Return a function that changes the coordinates of a section."""

    def change(adata):
        adata.obsm["spatial"] = function(adata.obsm["spatial"])

    return change


def set_one_value(value):
    """Return a function that sets one value of an array."""

    def change(array):
        array = array.copy()
        array[3, 1] = value
        return array

    return change


def add_column(name, make):
    """Return a function that adds a column to obs."""

    def change(adata):
        adata.obs[name] = make(adata.n_obs)

    return change


def ensembl(name):
    return f"ENSG{int(name.removeprefix('gene_')):011d}"


def log_normalise_declared_counts(adata):
    adata.X = sp.csr_matrix(np.log1p(adata.X.toarray()))


def move_counts_to_a_layer(adata):
    adata.layers["raw"] = adata.X.copy()
    change_values(np.log1p)(adata)


EMBED = "embed bad.h5ad --model m --out o.h5ad"
GENERATE = "generate good.h5ad --model m --out o.h5ad"
PERTURB = "perturb good.h5ad --model m --out o"
CIRCLE = "--roi-circle 350 300 60"

# For each mistake: the function that spoils bad.h5ad (or None), the command, and a part of the error.
MISTAKES = {
    "no such file": (None, "embed absent.h5ad --model m --out o.h5ad", "file not found"),
    "no h5ad": (None, "embed cells.h5ad --model m --out o.h5ad", "not a readable .h5ad"),
    "no cells": (lambda a: a._inplace_subset_obs(slice(0)), EMBED, "there are no cells"),
    "no coordinates": (lambda a: a.obsm.clear(), EMBED, "obsm has no 'spatial'"),
    "coordinates of other name": (
        lambda a: a.obsm.update(xy=a.obsm.pop("spatial")),
        EMBED,
        "obsm has no 'spatial' (it has xy)",
    ),
    "three coordinates": (
        change_coordinates(lambda xy: np.column_stack((xy, xy))[:, :3]),
        EMBED,
        "keep the two coordinates",
    ),
    "coordinates missing": (change_coordinates(set_one_value(np.nan)), EMBED, "NaN or infinity for 1 cells"),
    "pixels": (lambda a: a.uns.update(spatial_units="pixel"), EMBED, "coordinates are in pixels"),
    "millimetres": (change_coordinates(lambda xy: xy / 1000), EMBED, "(1000 if it is mm)"),
    "nanometres": (change_coordinates(lambda xy: xy * 1000), EMBED, "(1 to 500 µm is plausible)"),
    "several sections": (None, "embed both.h5ad --model m --out o.h5ad", "names 2 sections (s0, s1, …; expected one)"),
    "other species": (
        rename_genes(str.upper),
        EMBED,
        "it has 'GENE_1' for 'gene_1', as in the symbols of another species",
    ),
    "ids for symbols": (
        rename_genes(ensembl),
        EMBED,
        "are Ensembl ids (ENSG00000000001), the model's symbols (gene_1)",
    ),
    "a gene twice": (
        rename_genes(lambda name: {"gene_2": "gene_1"}.get(name, name)),
        EMBED,
        "bad.h5ad: 2 columns are of the gene 'gene_1' (expected one)",
    ),
    "other genes": (rename_genes(lambda name: f"other {name}"), EMBED, "only 0 of the model's 40 genes"),
    "log-normalised": (
        change_values(np.log1p),
        EMBED,
        "X holds normalised values, but the model was trained on counts",
    ),
    "log-normalised after prepare": (log_normalise_declared_counts, EMBED, "expected counts); put them back"),
    "counts in a layer": (move_counts_to_a_layer, EMBED, "copy layers['raw'], which holds counts, to X"),
    "scaled": (change_values(lambda x: x - x.mean(0)), EMBED, "X goes down to -"),
    "NaN": (change_values(set_one_value(np.nan)), EMBED, "1 values that are NaN"),
    "no X": (lambda a: delattr(a, "X"), EMBED, "X is missing"),
    "no X to perturb": (lambda a: delattr(a, "X"), f"perturb bad.h5ad --model m --out o {CIRCLE}", "X is missing"),
    "no model": (None, "embed good.h5ad --model nothing --out o.h5ad", "'model.safetensors' is missing"),
    "damaged model": (None, "embed good.h5ad --model damaged --out o.h5ad", "the model directory is damaged"),
    "model of parts": (None, "embed good.h5ad --model misfit --out o.h5ad", "the weights do not fit config.json"),
    "wrong hash": (None, "embed good.h5ad --model tampered --out o.h5ad", "model.safetensors: the sha256 is"),
    "file lost": (None, "embed good.h5ad --model lacking --out o.h5ad", "vocabulary.npz: file not found"),
    "no archive": (None, "embed good.h5ad --model model.zip --out o.h5ad", "cannot be unpacked"),
    "no hub": (None, "embed good.h5ad --model hf://a/b --out o.h5ad", "pip install 'gest[hub]'"),
    "no SpatialData": (None, "embed some.zarr --model m --out o.h5ad", "pip install 'gest[spatialdata]'"),
    "window": (None, "embed good.h5ad --model m --window 900 --out o.h5ad", "at most 300 µm, the model's"),
    "window, dry run": (
        None,
        "embed good.h5ad --model m --window 900 --out o.h5ad --dry-run",
        "at most 300 µm, the model's",
    ),
    "batch size": (None, "embed good.h5ad --model m --batch-size 0 --out o.h5ad", "Invalid value for '--batch-size'"),
    "device": (
        None,
        "embed good.h5ad --model m --device tpu --out o.h5ad",
        "--device: unknown value 'tpu' (choose auto, cpu or cuda)",
    ),
    "no GPU": (
        None,
        "embed good.h5ad --model m --device cuda --out o.h5ad",
        "--device: PyTorch finds no CUDA device on this machine",
    ),
    "out is a folder": (None, "embed good.h5ad --model m --out m", "is a folder (expected"),
    "out of another kind": (None, "embed good.h5ad --model m --out o.csv", "ends in .h5ad"),
    "vocabulary of another kind": (None, "vocabulary good.h5ad --out v.json", "ends in .npz"),
    "out below a file": (None, "embed good.h5ad --model m --out v.npz/o.h5ad", "is not a writable folder"),
    "nothing unseen": (None, GENERATE, "give exactly one of --unseen and --unseen-circle"),
    "no such column": (None, f"{GENERATE} --unseen hidden", "obs has no column 'hidden'"),
    "no such value": (None, f"{GENERATE} --unseen region=moon", "no cell has obs['region'] = 'moon'"),
    "not boolean": (None, f"{GENERATE} --unseen region", "expected 500 booleans"),
    "no unseen cell": (
        add_column("hidden", lambda n: np.zeros(n, bool)),
        "generate bad.h5ad --model m --unseen hidden --out o.h5ad",
        "no cell is unseen",
    ),
    "no seen cell": (
        add_column("hidden", lambda n: np.ones(n, bool)),
        "generate bad.h5ad --model m --unseen hidden --out o.h5ad",
        "every cell is unseen",
    ),
    "no unseen cell, dry run": (
        add_column("hidden", lambda n: np.zeros(n, bool)),
        "generate bad.h5ad --model m --unseen hidden --out o.h5ad --dry-run",
        "no cell is unseen",
    ),
    "no seen cell, dry run": (
        add_column("hidden", lambda n: np.ones(n, bool)),
        "generate bad.h5ad --model m --unseen hidden --out o.h5ad --dry-run",
        "every cell is unseen",
    ),
    "every cell in the circle, dry run": (
        None,
        f"{GENERATE} --unseen-circle 350 300 9000 --dry-run",
        "every cell is unseen",
    ),
    "circle elsewhere": (None, f"{GENERATE} --unseen-circle 9000 9000 50", "cells lie at x 0 to 699"),
    "mode": (
        None,
        f"{GENERATE} --unseen-circle 350 300 60 --mode best",
        "unknown mode 'best' (choose weighted or picking)",
    ),
    "mode, dry run": (
        None,
        f"{GENERATE} --unseen-circle 350 300 60 --mode best --dry-run",
        "unknown mode 'best' (choose weighted or picking)",
    ),
    "no annotator": (None, "annotate good.h5ad --annotator m --out o.h5ad", "m: expected an Annotator, got GeST"),
    "no such label": (None, "fit-annotator good.h5ad --model m --label layer --out o", "has no column 'layer'"),
    "pool, dry run": (
        None,
        "fit-annotator good.h5ad --model m --label region --pool sum --out o --dry-run",
        "annotation.pool: unknown value 'sum' (choose mean or max)",
    ),
    "one label": (None, "fit-annotator good.h5ad --model m --label donor --out o", "'donor' has the single class 'a'"),
    "occupied folder": (
        None,
        "fit-annotator good.h5ad --model m --label region --out occupied",
        "already exists without annotator.json",
    ),
    "gene": (None, f"{PERTURB} {CIRCLE} --activate gene_99", "gene 'gene_99' is not among the model's 40"),
    "no region": (None, f"{PERTURB} --activate gene_1", "give exactly one of --roi-circle"),
    "region elsewhere": (None, f"{PERTURB} --roi-circle 9000 0 5", "Move or widen the region"),
    "label without value": (None, f"{PERTURB} --roi-label region", "is not of the form COLUMN=VALUE"),
    "polygon": (None, f"{PERTURB} --roi-polygon [[0,", "--roi-polygon: cannot be read as JSON"),
    "up and down": (
        None,
        f"{PERTURB} {CIRCLE} --activate gene_1 --inhibit gene_1",
        "'gene_1' is to be both activated and inhibited",
    ),
    "up and down, dry run": (
        None,
        f"{PERTURB} {CIRCLE} --activate gene_1 --inhibit gene_1 --dry-run",
        "'gene_1' is to be both activated and inhibited",
    ),
    "sections with other genes, dry run": (
        rename_genes(str.upper),
        "vocabulary good.h5ad bad.h5ad --out o.npz --dry-run",
        "has other genes than the first",
    ),
    "key, dry run": (
        None,
        "pretrain good.h5ad --vocabulary v.npz --config unknown.yaml --out o --dry-run",
        "model.depth: unknown key",
    ),
    "trained over a thesis, dry run": (
        None,
        "pretrain good.h5ad --vocabulary v.npz --out occupied --dry-run",
        "already exists without config.json",
    ),
    "nothing embedded": (None, "cluster good.h5ad --n-clusters 4 --out o.h5ad", "create it with `gest embed`"),
    "wrong vocabulary": (None, "pretrain good.h5ad --vocabulary cells.h5ad --out o", "not a vocabulary"),
    "key": (None, "pretrain good.h5ad --vocabulary v.npz --config unknown.yaml --out o", "model.depth: unknown key"),
    "number as text": (None, "pretrain good.h5ad --vocabulary v.npz --config text.yaml --out o", "write 1.0e-3"),
    "no steps": (
        None,
        "pretrain good.h5ad --vocabulary v.npz --config zero.yaml --out o",
        "pretraining.steps: 0 is out of range (expected at least 1)",
    ),
    "no YAML": (None, "vocabulary good.h5ad --config broken.yaml --out o.npz", "cannot be read as YAML"),
    "no keys": (None, "vocabulary good.h5ad --config list.yaml --out o.npz", "expected keys and values, got a list"),
    "key of vocabulary": (
        None,
        "vocabulary good.h5ad --config vocabulary.yaml --out o.npz",
        "vocabulary.metacells: unknown key",
    ),
    "sections with other genes": (
        rename_genes(str.upper),
        "vocabulary good.h5ad bad.h5ad --out o.npz",
        "has other genes than the first",
    ),
    "unsplit": (None, "vocabulary both.h5ad --out o.npz", "split it with `gest prepare`"),
    "section key": (None, "prepare good.h5ad --section-key slide --out o", "obs has no 'slide'"),
    "no cell of any section": (
        add_column("slide", lambda n: np.full(n, np.nan)),
        "prepare bad.h5ad --section-key slide --out o",
        "obs['slide'] is missing for 500 of 500 cells",
    ),
    "two sections, one file": (
        add_column("slide", lambda n: np.where(np.arange(n) % 2, "a/b", "a_b")),
        "prepare bad.h5ad --section-key slide --out o",
        "would both be written to a_b.h5ad",
    ),
    "label to keep": (None, "prepare good.h5ad --label tissue --out o", "(`gest prepare --label`)"),
    "layer": (None, "prepare good.h5ad --layer raw --out o", "layers has no 'raw'"),
    "unit": (None, "prepare good.h5ad --microns-per-unit 0 --out o", "microns_per_unit is 0"),
    "prepared over a thesis": (None, "prepare good.h5ad --out occupied", "already exists without sections.csv"),
    "second of two sections": (
        lambda a: a.X.data.__setitem__(-1, np.nan),
        "prepare bad.h5ad --section-key region --out o",
        "section 'cortex_3': X holds 1 values that are NaN",
    ),
    "nothing to share": (None, "export occupied o", "'model.safetensors' is missing"),
    "unknown verb": (None, "embedd good.h5ad", "No such command 'embedd'"),
    "unknown option": (None, "embed good.h5ad --modell m", "No such option: --modell"),
    "forgotten option": (None, "embed good.h5ad --out o.h5ad", "Missing option '--model'"),
    "no number": (None, f"{GENERATE} --unseen-circle 1 2 wide", "Invalid value for '--unseen-circle'"),
}


@pytest.fixture
def run_command(desk, sections, tmp_path, monkeypatch):
    """Return a function that runs a command in the folder.

    It returns the command's exit code, its output, and the paths that the command changed.
    """

    def run(spoil, command, call):
        if spoil:
            bad = sections[0].copy()
            spoil(bad)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                bad.write_h5ad(desk / "bad.h5ad")
        before = {path: path.stat().st_mtime_ns for path in desk.rglob("*")}
        status, output = call(shlex.split(command))
        after = {path: path.stat().st_mtime_ns for path in desk.rglob("*")}
        (desk / "bad.h5ad").unlink(missing_ok=True)
        return status, output, {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}

    monkeypatch.chdir(desk)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for package in ("huggingface_hub", "spatialdata"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    return run


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing(run_command, capsys, monkeypatch, mistake):
    spoil, command, answer = MISTAKES[mistake]

    def call(arguments):
        monkeypatch.setattr(sys, "argv", ["gest", *arguments])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code, capsys.readouterr().err

    status, output, changed = run_command(spoil, command, call)
    assert status == 2
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert answer in errors[0]
    assert "Traceback" not in output
    assert "section: " not in output  # the error names the file instead
    assert output.splitlines()[-1] == errors[0]
    assert not changed


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["several sections", "wrong hash", "forgotten option"])
def test_it_is_the_same_in_a_separate_process(run_command, mistake):
    spoil, command, answer = MISTAKES[mistake]

    def call(arguments):
        process = [sys.executable, "-m", "gest.cli", *arguments]
        completed = subprocess.run(process, capture_output=True, text=True, check=False)
        assert not completed.stdout
        return completed.returncode, completed.stderr

    status, output, changed = run_command(spoil, command, call)
    assert status == 2
    assert output.startswith("error: ")
    assert output.count("\n") == 1
    assert answer in output
    assert not changed


def test_there_are_at_least_thirty():
    assert len(MISTAKES) >= 30


def test_the_same_folder_without_a_mistake(run_command, caplog, monkeypatch):
    """The commands of the mistakes above work on an unspoilt section."""

    def call(arguments):
        monkeypatch.setattr(sys, "argv", ["gest", *arguments])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code or 0, caplog.text

    status, output, changed = run_command(lambda adata: None, f"{EMBED} --dry-run", call)
    assert status == 0
    assert "500 cells, 40 of the model's 40 genes" in output
    assert not changed
