"""Ablations: convergence, the ordering of variants, and their tables and figures."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers import TINY

import gest
from gest.errors import UserError
from gest.paper.ablation import (
    average_seeds,
    converged,
    group_by_variant,
    late_gain,
    order_variants,
    read_log,
    read_trainings,
    select_variant,
)
from gest.paper.figures.ablation_curves import draw_curves
from gest.paper.figures.scaling import draw_scaling, scaling_table
from gest.paper.scores.table import COLUMNS
from gest.paper.tables.ablation import ablation_markdown, ablation_table
from gest.paper.tables.ablation_cost import ablation_cost, ablation_cost_markdown

METRICS = [("rmse_z", "all"), ("rmse_z", "svg50"), ("spearman", "all")]


def scores(means, *, run="toy", seeds=3, spread=0.001):
    """Return scores on three crops: `means` of variants, in steps of `spread` by seed."""
    rows = [
        {"variant": variant, "metric": metric, "gene_set": genes, "model_seed": seed, "crop": crop}
        | {"value": mean + spread * (seed - (seeds - 1) / 2) + 0.1 * (crop - 1)}
        for variant, mean in means.items()
        for metric, genes in METRICS
        for seed in range(seeds)
        for crop in range(3)
    ]
    fields = {"run": run, "task": "ablation", "dataset": "mouse_brain", "section": "a", "method": "gest", "level": ""}
    return pd.DataFrame(rows).assign(**fields, seed=0, n=50, status="ok").astype({"crop": str})[list(COLUMNS)]


def trainings(variants, *, seeds=3, **columns):
    fields = {"layers": 8, "heads": 8, "width": 96, "window": 600.0, "parameters": 1_000_000, "training_cells": 5000}
    fields |= {"steps": 70, "target_cells": 9000, "cells_per_second": 500, "hours": 0.005, "device": "cpu"}
    fields |= {"kept_step": 70, "validation_loss": 1.5, "validation_metacell": 2.5, "loss": "cross-entropy"}
    rows = [fields | {"variant": name, "model_seed": seed} for name in variants for seed in range(seeds)]
    return pd.DataFrame(rows).assign(late_gain_percent=1.0, converged=True, **columns)


@pytest.mark.parametrize(
    ("losses", "gain"),
    [
        ([3, 2, 1.2, 1.1, 1.05, 1.0], 100 * 0.2 / 3),  # the loss fell by 4 − 1, of which 0.2 in the second half
        ([3, 2, 1, 1, 1, 1], 0),
        ([3, 2, 1, 1.5, 2, 2.5], -100 * 0.5 / 3),
        ([5, 5, 4.9, 4.8, 4.6, 4.5], np.nan),  # flat, and no better than the frequencies
        ([3, 2, 1, 1], np.nan),
        ([np.nan] * 6, np.nan),
    ],
)
def test_late_gain(losses, gain):
    assert late_gain(losses, marginal=4) == pytest.approx(gain, nan_ok=True)
    assert converged(losses, marginal=4, percent=5) == (gain < 5)


def test_a_short_training_has_not_converged_though_its_loss_is_flat_at_the_end():
    """The learning rate, and with it any gain, falls to zero along half a cosine."""
    gained = np.cumsum(1 + np.cos(np.pi * np.arange(20) / 20))
    short, long = 4 - 0.05 * gained, 4 - 3 * (1 - np.exp(-gained))
    assert short[-2] - short[-1] < 0.001
    assert not converged(short, marginal=4, percent=5)
    assert converged(long, marginal=4, percent=5)


def test_seed_means_are_of_crops_then_sections():
    table = scores({"a": 1.0}, seeds=1)
    other = table[table["crop"] == "2"].assign(section="b")  # a section of one crop weighs as much as one of three
    assert average_seeds(pd.concat([table, other]))["a", "rmse_z", "all", 0] == pytest.approx((1.0 + 1.1) / 2)


def ordered(table, trained, variant="other"):
    rows = (
        order_variants(table, trained, references={"other": "usual"})
        .set_index(["variant", "metric", "gene_set"])
        .loc[variant]
    )
    return [tuple(rows.loc[key, ["ordering", "why"]]) for key in (("rmse_z", "svg50"), ("spearman", "all"))]


def test_a_smaller_error_and_a_larger_correlation_are_better():
    trained = trainings(["usual", "other"])
    assert ordered(scores({"usual": 1.0, "other": 1.1}), trained) == [("worse", ""), ("better", "")]
    assert ordered(scores({"usual": 1.0, "other": 0.9}), trained) == [("better", ""), ("worse", "")]


def test_close_unconverged_or_single_seeds_leave_an_ordering_undecided():
    trained, names = trainings(["usual", "other"]), ["usual", "other"]
    close = scores({"usual": 1.0, "other": 1.0015})
    assert ordered(close, trained) == [("undecided", "within the spread of the seeds")] * 2
    assert ordered(scores({"usual": 1.0, "other": 1.0025}), trained)[0] == ("worse", "")
    far = scores({"usual": 1.0, "other": 2.0})
    assert ordered(scores({"usual": 1.0, "other": 2.0}, seeds=1), trainings(names, seeds=1))[0][1] == "one seed"
    for name in names:  # one seed of either variant
        trained = trainings(names)
        trained.loc[(trained["variant"] == name) & (trained["model_seed"] == 1), "converged"] = False
        assert ordered(far, trained) == [("undecided", f"not converged: {name}")] * 2


def test_variants_are_ordered_on_the_crops_that_both_predicted():
    """Any variant looks better without the hardest crop; failing on it must not pay."""
    trained, table = trainings(["usual", "other"]), scores({"usual": 1.0, "other": 1.01})
    lost = (table["variant"] == "other") & (table["crop"] == "2")  # the largest error of three
    one_seed = lost & (table["model_seed"] == 1)
    for failed in (lost, one_seed):
        part = table.assign(value=table["value"].mask(failed), status=table["status"].mask(failed, "unreachable"))
        assert ordered(part, trained)[0] == ("worse", "")
        difference = order_variants(part, trained, references={"other": "usual"})["difference"]
        np.testing.assert_allclose(difference, 0.01)
    nothing = table.assign(value=table["value"].mask(table["variant"] == "other"))
    assert ordered(nothing, trained) == [("undecided", "no crop that both predicted")] * 2


def test_the_table_names_variants_that_lack_crops(values):
    table = scores({"baseline": 1.3, "rotate": 1.2})
    lost = (table["variant"] == "rotate") & (table["crop"] == "2")
    part = table.assign(value=table["value"].mask(lost), status=table["status"].mask(lost, "unreachable"))
    texts = []
    for available in (table, part):
        none, trained = values[values["item"] == "ablation_extra"], trainings(["baseline", "rotate"])
        variants, references = ["baseline", "rotate"], {"rotate": "baseline"}
        laid_out = ablation_table(available, none, trained, variants=variants, references=references)
        texts.append(ablation_markdown(laid_out, title="Further variants", run="toy", percent=5))
    assert "Every variant is scored on the same 3 crops with 150 unseen cells." in texts[0]
    assert "Every variant" not in texts[1]
    assert "There are 3 crops with 150 unseen cells; some scores are missing for rotate. Two variants" in texts[1]


def test_one_of_a_models_predictions_represents_a_variant():
    table = pd.concat([scores({"weighted": 1.0}), scores({"picking": 2.0}), scores({"codebook": 3.0})])
    chosen = select_variant(table.assign(task="generation"), "mine", "picking")
    assert set(chosen["variant"]) == {"mine"}
    assert set(chosen["task"]) == {"ablation"}
    assert chosen["value"].mean() == pytest.approx(2.0)
    assert len(select_variant(scores({"continuous": 1.0}), "mine", "weighted")) == len(scores({"continuous": 1.0}))


@pytest.mark.slow
def test_trainings_are_read_from_model_directories(tokens, vocabulary, tmp_path):
    for seed in (0, 1):
        config = TINY | {"pretraining": TINY["pretraining"] | {"target_cells": 3000}}
        out = tmp_path / "ablation" / "small" / f"model-s{seed}"
        gest.pretrain(tokens[:1], vocabulary, config, validation=tokens[1:], out=out, seed=seed)
    models = group_by_variant(sorted((tmp_path / "ablation" / "small").glob("model-s?")))
    table = read_trainings(models, percent=5)
    assert table[["variant", "model_seed"]].to_numpy().tolist() == [["small", 0], ["small", 1]]
    row, log = table.iloc[0], read_log(models["small"][0])
    assert row["validation_loss"] == log["validation_loss"].min()
    assert row["hours"] * 3600 * row["cells_per_second"] == pytest.approx(row["target_cells"]) == pytest.approx(3000)
    assert row["loss"] == "20 meta cells, weights 0.25 0.25 0.25 0.25, 300 µm, ordinal"
    settings = json.loads((models["small"][1] / "config.json").read_text())
    for section, change, kind in (
        ("model", {"quantised": False}, "squared error, 300 µm, ordinal"),
        ("serialisation", {"order": "random"}, "20 meta cells, weights 0.25 0.25 0.25 0.25, 300 µm, random"),
        ("serialisation", {"sharpness": 2.0}, "20 meta cells, weights 0.25 0.25 0.25 0.25, 300 µm, sharpness 2"),
    ):
        (models["small"][1] / "config.json").write_text(json.dumps(settings | {section: settings[section] | change}))
        assert read_trainings(models, percent=5)["loss"][1] == kind
    (models["small"][0] / "log.csv").unlink()
    with pytest.raises(UserError, match=r"model-s0: log\.csv cannot be read"):
        read_trainings(models, percent=5)


def table_4(values, run):
    means = {"window_600": 1.3, "no_quantisation": 1.4, "window_200": 1.2}
    constant = scores({"no_quantisation": 0.0}, run=run)
    constant = constant[(constant["metric"] == "rmse_z") & (constant["gene_set"] == "all")]
    cells, genes = (constant.assign(metric=f"constant_{counted}") for counted in ("prediction_cells", "predictions"))
    trained = trainings(means)
    return ablation_table(
        pd.concat([scores(means, run=run), cells.assign(value=2.0), genes.assign(value=0.0)]),
        values[values["item"] == "table_4"],
        trained,
        variants=list(means),
        references=dict.fromkeys(list(means)[1:], "window_600"),
    )


def test_the_table_shows_the_papers_values_and_orderings(values):
    table = table_4(values, "paper").set_index(["variant", "metric", "gene_set"])
    assert table.loc["window_600", "rmse_z", "svg50"]["paper"] == 1.214
    row = table.loc["window_200", "rmse_z", "all"]
    assert row[["paper", "ordering", "paper_ordering"]].tolist() == [1.376, "better", "worse"]
    assert row["difference"] == pytest.approx(-0.1)
    assert row["sd"] == pytest.approx(0.001)
    assert table.loc["no_quantisation", "spearman", "all"]["paper_ordering"] == ""
    text = ablation_markdown(table.reset_index(), title="Table 4: window", run="paper", percent=5)
    assert "1.300 ± 0.001 [1.367]" in text
    assert "no_quantisation: on average over crops 0.0 genes and 2.0 cells were predicted constant" in text
    assert text.startswith("Table 4: window, ")


def test_in_another_run_only_orderings_are_compared(values):
    table = table_4(values, "toy")
    assert table["paper"].isna().all()
    text = ablation_markdown(table, title="Table 4: window", run="toy", percent=5)
    assert "run toy, not the paper's data" in text.splitlines()[0]
    assert "[" not in text
    line = next(line for line in text.splitlines() if line.startswith("| window_200") and "svg50" in line)
    assert [part.strip() for part in line.split("|")][5:7] == ["better", "worse"]


def test_a_default_of_another_size_stands_for_the_papers(values):
    """Parts of the data are compared with our default, sizes with the paper's size."""
    means = {"l8h8": 1.3, "l2h2": 1.4, "baseline": 1.35, "data_half": 1.4}
    references = {"l2h2": "l8h8", "baseline": "l8h8", "data_half": "baseline"}
    table = ablation_table(
        scores(means),
        values[values["item"] == "table_3"],
        trainings(means),
        variants=list(means),
        references=references,
    )
    rows = table[(table["metric"] == "rmse_z") & (table["gene_set"] == "all")].set_index("variant")
    assert rows["paper_ordering"].to_dict() == {"l8h8": "", "l2h2": "worse", "baseline": "", "data_half": "worse"}
    assert rows.loc["data_half", "difference"] == pytest.approx(0.05)


def test_a_table_that_the_paper_lacks(values):
    means = {"baseline": 1.3, "rotate": 1.2}
    none = values[values["item"] == "ablation_extra"]
    references = {"rotate": "baseline"}
    table = ablation_table(
        scores(means, run="paper"), none, trainings(means), variants=list(means), references=references
    )
    assert (table["paper_ordering"] == "").all()
    assert "rotate" in ablation_markdown(table, title="Further variants", run="paper", percent=5)


def test_the_paper_has_three_tables_of_variants_and_no_ablation_extra(values):
    items = set(values["item"])
    assert {"table_3", "table_4", "table_a4"} <= items
    assert "ablation_extra" not in items


def test_cost_is_the_mean_of_one_seed():
    trained = trainings(["a", "b"])
    trained.loc[(trained["variant"] == "b") & (trained["model_seed"] == 2), ["hours", "converged"]] = [0.008, False]
    cost = ablation_cost(trained).set_index("variant")
    assert cost.loc["b", "hours"] == pytest.approx(0.006)
    assert cost["converged"].tolist() == [True, False]
    assert cost["seeds"].tolist() == [3, 3]
    assert "| 1,000,000 " in ablation_cost_markdown(cost.reset_index(), run="toy", percent=5)


def test_scaling_lists_models_by_parameters_and_data_by_cells():
    trained = trainings(["l8h8", "l2h2", "data_half"])
    trained.loc[trained["variant"] == "l2h2", "parameters"] = 300_000
    trained.loc[trained["variant"] == "data_half", "training_cells"] = 2500
    table = scaling_table(scores({"l8h8": 1.0, "l2h2": 1.1, "data_half": 1.2}), trained)
    by = table.groupby("by")["variant"].agg(set).to_dict()
    assert by == {"parameters": {"l8h8", "l2h2"}, "training_cells": {"l8h8", "data_half"}}
    figure = draw_scaling(table)
    assert len(figure.axes) == 3 * 2
    line = figure.axes[2].lines[1]  # RMSE of all genes by parameters: the means
    np.testing.assert_allclose(line.get_xydata(), [[300_000, 1.1], [1_000_000, 1.0]])


def test_curves_show_every_seed_and_the_reference_if_losses_are_comparable():
    log = pd.DataFrame({"cells": [10, 20], "validation_loss": [2.0, 1.0]})
    trained = trainings(["usual", "other", "no_quantisation"], seeds=2)
    trained.loc[trained["variant"] == "no_quantisation", ["loss", "converged"]] = ["squared error", False]
    logs = {name: [log, log + 1] for name in ("usual", "other", "no_quantisation")}
    figure = draw_curves(logs, trained, reference="usual")
    drawn = [ax for ax in figure.axes if ax.lines]
    assert [len(ax.lines) for ax in drawn] == [4, 4, 2]
    assert [ax.get_title().splitlines()[0] for ax in drawn][1:] == [
        "other: converged",
        "no_quantisation: not converged",
    ]
    np.testing.assert_array_equal(drawn[1].lines[-1].get_xydata(), [[11, 3.0], [21, 2.0]])
