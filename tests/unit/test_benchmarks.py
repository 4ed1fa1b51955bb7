"""The benchmarks: their reference equals the model, their arithmetic is right, and their page is complete."""

import json
import re
from pathlib import Path

import abc_reader
import dag
import embedding
import full_run
import generation
import goals
import growth
import loop
import measuring
import numpy as np
import packaged
import pandas as pd
import pytest
import reference
import report
import step
import torch
from torch.utils.flop_counter import FlopCounterMode

from gest import GeST
from gest.attention import spatial_attention
from gest.tasks.generation.rounds import generate_tokens
from gest.training.objective import window_losses

MACHINE = {"device": "cpu", "processor": "p", "cores": 2, "threads": 2, "torch": "2"}


@pytest.fixture
def batch(model, rng):
    tokens = torch.from_numpy(rng.integers(20, size=(3, 9)))
    bins = torch.from_numpy(rng.integers(201, size=(3, 9, 2)))
    return tokens, bins, torch.tensor([9, 5, 2])


@pytest.fixture
def trained(model):
    """A model without zero weights, so that every weight affects the output."""
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


@pytest.mark.parametrize("attend", [reference.written_out, reference.dense_mask])
def test_the_model_and_its_gradients_are_the_reference(trained, batch, attend):
    tokens, bins, _ = batch
    values = [reference.logits(trained, tokens, bins, attend)], [trained(tokens, bins)]
    assert reference.largest_error(*values) < 1e-5
    slow, fast = reference.window_losses(trained, *batch, attend), window_losses(trained, *batch)
    assert reference.largest_error([slow], [fast]) < 1e-5
    gradients = [reference.gradients(losses, trained) for losses in (slow, fast)]
    assert len(gradients[0]) == len(gradients[1]) == len(list(trained.parameters()))
    assert reference.largest_error(*gradients) < 1e-4


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_attention_is_the_reference(dtype, tolerance):
    q, k, v = (torch.randn(2, 3, 14, 4, dtype=dtype, requires_grad=True) for _ in range(3))
    weights = torch.randn(2, 3, 14, 4, dtype=dtype)
    paths = (spatial_attention, reference.written_out, reference.dense_mask)
    outs = [attend(q, k, v) for attend in paths]
    fast, *slow = [[out, *torch.autograd.grad(out, (q, k, v), weights)] for out in outs]
    assert all(reference.largest_error(fast, outputs) < tolerance for outputs in slow)


def test_a_wrong_attention_is_not_measured(trained, batch):
    causal = torch.nn.functional.scaled_dot_product_attention
    wrong = reference.window_losses(trained, *batch, lambda q, k, v: causal(q, k, v, is_causal=True))
    error = reference.largest_error([window_losses(trained, *batch)], [wrong])
    with pytest.raises(SystemExit, match="step: the fast path differs from the reference by"):
        reference.check_equal("step", error, 1e-3)


def test_operations_are_those_that_torch_counts(model, batch):
    tokens, bins, _ = batch
    with FlopCounterMode(display=False) as counter:
        reference.logits(model, tokens, bins, reference.written_out)
    K, T = model.codebook.shape
    D, n = 16, 3 * 8  # targets, and as many cells
    # Unlike the model, the reference embeds each of the 27 cells, does not fold W V, and computes the whole last layer
    # and the whole mask.
    unfolded = 2 * (27 * T * D + n * D * T + n * T * K)
    operations = step.operations(model.config.model, windows=3, length=9, n_metacells=K, n_genes=T)
    last_layer = n * (2 * 12 * D**2 - 2 * 2 * D**2)
    mask = (
        2 * 3 * (2 * 2 * 16 * 16 * D) - (2 * 2 - 1) * n * 2 * 2 * D * 8 / 2
    )  # layers × windows × (2L)², less what `operations` counts
    counted = (operations["cells"] + operations["targets"]) / 3 + 2 * n * D**2
    assert counter.get_total_flops() == counted + last_layer + mask + unfolded
    assert operations["head"] == 3 * 2 * n * D * (D + K)
    assert operations["codebook"] == 3 * 2 * 2 * K * T * D


def test_padding_is_counted(model):
    model.predict = lambda tokens, bins, n_seen, target_bins: torch.zeros(*target_bins.shape[:2], 20)
    counter = generation.Counter(model)
    counter(torch.zeros(2, 32), None, torch.tensor([20, 30]), torch.zeros(2, 32, 2))
    generated = generation.Generated(
        means=np.zeros((3, 20)), rounds=np.ones(3), estimates=np.array([10, 15, 7])
    )  # 32 estimates
    assert counter.waste(generated) == pytest.approx(1 - (50 + 32) / 128)


def test_padding_is_little(vocabulary):
    model = GeST({"window": 400, "model": {"layers": 1, "heads": 1, "width": 4}}, vocabulary)
    model.predict = lambda tokens, bins, n_seen, target_bins: torch.zeros(*target_bins.shape[:2], 20)
    counter = generation.Counter(model)
    xy, tokens = generation.section(generation.Case(400, 200, 1))
    generated = generate_tokens(model, xy, np.minimum(tokens, 19))
    assert counter.windows > 400
    assert 0 < counter.waste(generated) < 0.15


@pytest.mark.parametrize("side", [200, 450, 900])
def test_windows_of_a_hole(side, rng):
    width = side + 800
    xy = rng.random((round(full_run.DENSITY * width**2), 2)) * width - width / 2
    reach = np.abs(xy).max(1)  # equal for the points of a square
    counted, edge = 0, side / 2
    while edge > 0:  # the seen cells within 300 µm of the hole, which then shrinks by 300 µm
        counted += ((reach > edge) & (reach <= edge + 300)).sum()
        edge -= 300
    assert full_run.windows_of_hole(side) == pytest.approx(counted, rel=0.05)


def test_hours_of_the_full_run():
    paths = pd.DataFrame([{"path": "dense mask", "cells_per_s": 1.0}, {"path": "gest", "cells_per_s": 4000.0}])
    on_gpu = pd.DataFrame([{"path": "gest", "cells_per_s": 1e6} | MACHINE | {"device": "H100"}])
    stages = pd.DataFrame([{"stage": "tokenise", "cells_per_s": rate} | MACHINE for rate in (7.0, 1e5)])
    tables = {"step": pd.concat([paths.assign(**MACHINE), on_gpu]), "growth": stages}
    rows = {row["stage"]: row for row in full_run.hours(tables)}
    training = rows["pre-training"]
    assert training["cpu"] == pytest.approx(168e6 / 4000 / 3600)
    assert training["node"] == pytest.approx(training["cpu"] / 32)
    assert (training["gpu"], training["gpus"]) == pytest.approx((168 / 3600, 42 / 3600))
    assert rows["tokens"]["cpu"] == pytest.approx(40.67392 / 3600)  # the rate of the most cells
    assert np.isnan([rows["import"]["cpu"], rows["embedding, one seed"]["cpu"], rows["tokens"]["gpu"]]).all()


def test_no_section_of_a_small_atlas_is_empty(tmp_path):
    abc_reader.make(tmp_path, 300)
    sections = pd.read_csv(tmp_path / "cell_metadata.csv")["brain_section_label"]
    assert len(sections) == 300
    assert sections.nunique() == 147


def test_growth_scales_a_part_to_all():
    row = growth.row("embedding", 10_000, {"status": "ok", "done": 50, "seconds": 2.0, "peak_mb": 1})
    assert (row["seconds"], row["cells_per_s"], row["extrapolated"]) == (400, 25, True)
    assert not growth.row("scoring", 50, {"status": "ok", "done": 50, "seconds": 2.0, "peak_mb": 1})["extrapolated"]
    assert growth.row("scoring", 50, {"status": "killed"}) == {"stage": "scoring", "cells": 50, "status": "killed"}
    assert goals.exponent([10, 100, 1000], [3, 300, 30_000]) == pytest.approx(2)


def test_the_loop_is_accounted_for():
    # A step takes 90 ms, and the loop another 10 ms. Saving takes 500 ms after every second step; in a real run, it is
    # after every 500th. Drawing takes 20 ms in a thread while a step runs, so it is not time around the step.
    ended = np.cumsum([0.1, 0.1, 0.6, 0.1, 0.6, 0.1])
    seconds = {"step": [0.09] * 6, "windows": [0.02] * 6, "ended": list(ended)}
    parts = {row["part"]: row for row in loop.account(seconds, save_every=2)}
    values = {name: row["ms"] for name, row in parts.items()}
    assert values == pytest.approx({"step": 90, "around it": 10, "saving and logging": 1, "windows, in a thread": 20})
    shares = {name: row["share"] for name, row in parts.items()}
    assert shares["step"] + shares["around it"] + shares["saving and logging"] == pytest.approx(1)
    assert shares["windows, in a thread"] == pytest.approx(20 / 101)


def test_functions_are_timed_in_turn():
    order = []
    times = measuring.turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert [len(seconds) for seconds in times.values()] == [2, 2]
    assert measuring.ratio(np.array([2.0, 6, 30]), np.array([1.0, 2, 3])) == (3, 2.5, 6.5)


def test_a_part_returns_its_result_or_why_it_failed(tmp_path):
    script = tmp_path / "part.py"
    script.write_text("import sys, time, os\nexec(sys.argv[1])")
    result = measuring.in_process(str(script), "print('noise'); print('{\"x\": 1}')")
    assert result == {"status": "ok", "x": 1}
    assert measuring.in_process(str(script), "sys.exit(3)")["status"] == "failed (exit status 3)"
    assert measuring.in_process(str(script), "os.kill(os.getpid(), 9)")["status"] == "killed, as when memory runs out"
    stopped = measuring.in_process(str(script), "time.sleep(60)", limit=0.3)
    assert stopped["status"] == "stopped after 0.005 minutes"


def test_memory_is_what_the_work_needs():
    """Memory that was freed earlier, but that the allocator still holds, does not lower the result."""

    def work():
        np.ones(50_000_000, dtype=np.uint8)

    np.ones(32_000_000, dtype=np.uint8)  # freeing it raises the size from which the allocator maps memory separately
    freed = [np.ones(10_000_000, dtype=np.uint8) for _ in range(6)]
    del freed
    assert measuring.extra_memory_mb(work, torch.device("cpu")) == pytest.approx(48, abs=6)


def test_as_many_cells_are_predicted_as_the_windows_hold(rng, tmp_path):
    """Windows of 600 µm are drawn so that a random cell lies anywhere in them, in a section of 735 µm."""
    cell, other = rng.random((2, 100_000, 2)) * (1000 / full_run.DENSITY) ** 0.5
    centre = cell + rng.uniform(-300, 300, (100_000, 2))
    share = (np.abs(other - centre) <= 300).all(1).mean()
    windows = growth.STEPS * growth.WINDOWS
    assert growth.training_data(1000, tmp_path)["done"] == pytest.approx(share * 999 * windows, rel=0.05)


def test_the_page_says_what_was_not_measured(tmp_path):
    empty = report.page({})
    assert empty.count("not measured") > 20
    assert "nan" not in empty

    row = {"L": 675, "path": "dense mask", "dtype": "float32", "ms": 123.4, "error": 2e-7, "error_float64": 1e-15}
    row |= {"ratio": 2.2, "ratio_low": 2.1, "ratio_high": 2.4} | MACHINE
    memory = [{"L": L, "path": "gest", "mb": L / 100, "status": "ok"} | MACHINE for L in (600, 1200, 2400)]
    pd.DataFrame([row]).to_csv(tmp_path / "attention.csv", index=False)
    pd.DataFrame(memory).to_csv(tmp_path / "attention_memory.csv", index=False)
    tables = report.read(tmp_path)
    first = report.page(tables).split("## 2.")[0]
    assert "| 123" in first
    assert re.search(r"dense mask, L = 675 +\| ≥ 2 +\| 2\.2 +\| yes", first)
    assert re.search(r"power of L +\| ≤ 1\.1 +\| 1 +\| yes", first)
    first = first.split("## 1.")[1]
    assert "2.20 (2.10–2.40)" in first
    assert re.search(r"600: 6, 1200: 12, 2400: 24 +\| 1\.00 ", first)
    assert "p, 2 cores, 2 threads, torch 2" in report.page(tables)
    assert first.rstrip().endswith("GPU: not measured.")

    shares = {"step": 0.9, "around it": 0.07, "saving and logging": 0.03, "windows, in a thread": 0.2}
    tables["loop"] = pd.DataFrame([{"part": part, "ms": 1, "share": share} | MACHINE for part, share in shares.items()])
    shown = report.page(tables)
    assert "Around the step: 10.0%; with the thread, as if it ran alone: 30.0%." in shown
    assert re.search(r"share of the loop around the step +\| ≤ 0\.05 +\| 0\.3 +\| no", shown)

    tables["attention"] = pd.DataFrame([row, row | {"device": "H100"}])
    first = report.page(tables).split("## 2.")[0].split("## 1.")[1]
    assert "| H100" in first
    assert "not measured" not in first


def test_the_page_is_written_from_the_kept_results():
    folder = Path(__file__).parents[2]
    tables = report.read(folder / "benchmarks" / "measured")
    assert (folder / "docs" / "performance.md").read_text() == report.page(tables)


def test_parts_of_several_machines_are_listed_by_machine():
    row = {"processor": "p", "cores": 2, "threads": 2, "torch": "2", "device": "cpu"}
    tables = {name: pd.DataFrame([row]) for name in ("loop", "step", "step_peak")}
    assert report.machines(tables).splitlines()[2:] == ["- p, 2 cores, 2 threads, torch 2"]
    tables["embedding"] = pd.DataFrame([row, row | {"device": "A800"}])
    assert report.machines(tables).splitlines()[2:] == [
        "- p, 2 cores, 2 threads, torch 2: loop, step, embedding",
        "- p, 2 cores, 2 threads, torch 2, A800: embedding",
    ]


def test_half_precision_is_left_out_if_the_processor_has_none(monkeypatch):
    """PyTorch then multiplies without fast kernels, which takes minutes instead of milliseconds."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    cpu = torch.device("cpu")
    paths = [row["path"] for row in embedding.measure(cpu, n_cells=24, repeats=1)]
    assert paths == ["training graph", "gest"]
    _, _, peaks = step.measure(cpu, windows=1, length=12, repeats=1)
    assert [row["dtype"] for row in peaks] == ["float32"]
    assert measuring.has_bfloat16(torch.device("cuda"))


def test_rows_of_other_methods_are_kept(tmp_path):
    table = pd.DataFrame({"method": ["gest", "stagate", "stagate"], "cells": [1, 1, 3], "seconds": [1.0, 2.0, np.nan]})
    table.to_csv(tmp_path / "packaged.csv", index=False)
    assert packaged.rows_of_others(["stagate"], tmp_path / "packaged.csv") == [
        {"method": "gest", "cells": 1, "seconds": 1.0}
    ]
    assert packaged.rows_of_others(["gest"], tmp_path / "none.csv") == []


def test_where_memory_is_full():
    """Memory that grows as the square of the cells is 100 MB at 1,000 and 10 GB at 10,000."""
    sizes = pd.DataFrame({"cells": [500, 1000, 3000, 10_000], "peak_mb": [90.0, 100.0, 900.0, np.nan]})
    sizes = sizes.assign(status=["ok"] * 3 + ["stopped after 30 minutes"], machine_mb=10_000.0)
    assert report.full(sizes) == "10,000"
    assert report.full(sizes[:1]) == "not measured"
    assert report.full(sizes.assign(peak_mb=100.0)) == "not in sight"


def test_the_figure_shows_what_was_measured():
    assert len(report.draw({}).axes) == 6
    assert all(ax.texts[0].get_text() == "not measured" for ax in report.draw({}).axes)
    table = pd.DataFrame([{"path": "gest", "cells_per_s": 4000.0} | MACHINE])
    ax = report.draw({"step": table}).axes[2]
    assert [bar.get_height() for bar in ax.patches] == [4000]


def test_jobs_of_a_dry_run(tmp_path):
    output = (
        "text\nJob stats:\njob      count\n------  -------\nscore        3\nlabel       12\ntotal       15\n\nmore\nx 4"
    )
    assert dag.jobs(output) == {"score": 3, "label": 12}
    for path, seconds in (("score/a/b.tsv", 1), ("score/a/c.tsv", 4), ("label.tsv", 7), ("other.tsv", 9)):
        file = tmp_path / "toy" / "benchmarks" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")
    assert dag.durations(tmp_path, ["score", "label"]) == {"score": 2.5, "label": 7}


def test_sections_of_the_benchmark():
    xy, tokens = generation.section(generation.Case(window=100, side=50, holes=4))
    hidden = tokens < 0
    assert json.dumps(generation.Case(100, 50, 4)) == "[100, 50, 4]"  # as it is passed to a process
    tiles = np.floor(xy[:, 0] / 250)
    assert len(np.unique(tiles[hidden])) == 4
    assert hidden.mean() == pytest.approx(50**2 / 250**2, abs=0.03)
