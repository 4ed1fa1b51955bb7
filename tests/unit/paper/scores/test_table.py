"""The tidy table of scores: its rows, a lossless round trip, and summaries checked by hand."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from gest import metrics
from gest.errors import UserError
from gest.paper.scores import generation as generation_scores
from gest.paper.scores import table as scores
from gest.paper.scores.spatial_genes import spatially_variable_genes


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    truth = np.log1p(rng.poisson(1.0, (40, 12))).astype(np.float32)
    cells = [f"c{i}" for i in range(40)]
    genes = [f"g{i}" for i in range(12)]
    section = ad.AnnData(csr_matrix(truth), obs=pd.DataFrame({"section": "S1", "donor": "D"}, index=cells))
    section.obsm["spatial"] = rng.uniform(0, 100, (40, 2))
    chosen = np.r_[30:10:-1, 5:17]  # out of order, and the two crops share cells
    obs = pd.DataFrame({"crop": ["0"] * 20 + ["1"] * 12, "cell": [cells[i] for i in chosen]})
    obs = obs.assign(model_seed=0, seed=3, failed="")
    obs.index = [str(i) for i in range(32)]
    predictions = ad.AnnData(obs=obs, var=pd.DataFrame(index=genes))
    for variant in ("weighted", "picking"):
        predictions.layers[variant] = truth[chosen] + rng.normal(size=(32, 12)).astype(np.float32)
    predictions.uns["gest"] = {"method": "gest"}
    svg = spatially_variable_genes(truth, section.obsm["spatial"], genes)
    return predictions, section, csr_matrix(truth), svg, chosen


def score(case, **changes):
    predictions, section, truth, svg, _ = case
    return generation_scores.score_predictions(
        predictions, section, truth, svg, **{"run": "r", "dataset": "d", "top": 50} | changes
    )


def test_every_crop_variant_gene_set_and_metric(case):
    table = score(case)
    assert list(table.columns) == list(scores.COLUMNS)
    assert len(table) == 2 * 2 * 2 * 8
    assert not table.duplicated(["crop", "variant", "gene_set", "metric"]).any()
    assert set(table["gene_set"]) == {"all", "svg3"}
    assert (table[["task", "level", "status"]] == ["generation", "", "ok"]).all(axis=None)
    assert (table["n"] == table["crop"].map({"0": 20, "1": 12})).all()
    predictions, _, truth, svg, chosen = case
    genes = predictions.var_names.get_indexer(svg["gene"][:3])
    picked = table.query("crop == '1' and variant == 'picking' and gene_set == 'svg3'").set_index("metric")["value"]
    for metric in (metrics.rmse_z, metrics.rmse_log, metrics.spearman, metrics.spearman_z):
        by_hand = metric(truth.toarray()[chosen[20:]][:, genes], predictions.layers["picking"][20:][:, genes])
        assert picked[metric.__name__] == by_hand.value


def test_seeds_are_scored_apart(case):
    predictions = case[0]
    other = predictions.copy()
    other.obs["seed"] = 4
    other.obs_names = [f"again{i}" for i in range(32)]
    other.layers["weighted"] += 1
    both = ad.concat([predictions, other], uns_merge="same")
    apart = generation_scores.score_predictions(both, *case[1:4], run="r", dataset="d", top=50)
    np.testing.assert_array_equal(apart.loc[apart["seed"] == 3, "value"], score(case)["value"])
    assert (apart.loc[apart["seed"] == 4, "value"].to_numpy() == score((other, *case[1:]))["value"].to_numpy()).all()


def test_errors_of_genes_are_means_over_crops(case):
    predictions, section, truth, svg, chosen = case
    predictions.layers["picking"][20:, 3] = np.nan
    predictions.obs.loc[predictions.obs["crop"] == "1", "failed"] = "out of memory"
    genes = generation_scores.score_genes(predictions, section, truth, svg)
    picking = genes[genes["variant"] == "picking"].set_index("gene")
    true, predicted = truth.toarray()[chosen[:20]], predictions.layers["picking"][:20]
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(true.T, predicted.T, strict=True)]
    np.testing.assert_allclose(picking["rmse_z"], np.sqrt(2 - 2 * np.array(r)))
    np.testing.assert_allclose(picking["rmse_log"], np.sqrt(((true - predicted) ** 2).mean(0)))
    assert picking["rank"].to_dict() == svg.set_index("gene")["rank"].to_dict()
    predictions.obs["failed"] = ""
    predictions.layers["picking"][20:, 3] = 0
    both = generation_scores.score_genes(predictions, section, truth, svg).query("variant == 'weighted'")["rmse_z"]
    by_crop = [
        metrics.gene_errors(truth.toarray()[chosen[part]], predictions.layers["weighted"][part]).error
        for part in (slice(0, 20), slice(20, 32))
    ]
    np.testing.assert_allclose(both, np.nanmean(by_crop, axis=0))


def test_constants_are_counted_and_predictions_must_be_finite(case):
    predictions, _, _, _, _ = case
    predictions.layers["weighted"][:, :4] = 0.5
    predictions.layers["picking"][25, 2] = np.nan
    table = score(case).set_index(["crop", "variant", "gene_set", "metric"])
    assert table.loc[("0", "weighted", "all", "constant_predictions"), "value"] == 4
    bad = table.loc[("1", "picking", "all", "rmse_z")]
    assert np.isnan(bad["value"])
    assert "finite" in bad["status"]
    assert table.loc[("0", "picking", "all", "rmse_z"), "status"] == "ok"


def test_predictions_of_another_section_or_panel_are_refused(case):
    predictions, section, truth, svg, _ = case
    predictions.obs["cell"] = ["x", *predictions.obs["cell"][1:]]
    with pytest.raises(UserError, match="1 of 32"):
        generation_scores.score_predictions(predictions, section, truth, svg, run="r", dataset="d", top=50)
    predictions.obs["cell"] = "c0"
    with pytest.raises(UserError, match="spatially variable"):
        score((predictions, section, truth, svg.assign(gene="other"), None))


def test_written_scores_read_back_the_same(case, tmp_path):
    table = score(case)
    case[0].obs["model_seed"] = 1
    again = score(case)
    assert set(again["model_seed"]) == {1}
    scores.write_scores(table, tmp_path / "a.csv")
    scores.write_scores(again, tmp_path / "b.csv")
    back = scores.read_scores([tmp_path / "a.csv", tmp_path / "b.csv"])
    pd.testing.assert_frame_equal(back, pd.concat([table, again], ignore_index=True), check_exact=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.csv"]


def test_wrong_columns_are_refused_and_leave_no_file(case, tmp_path):
    with pytest.raises(UserError, match=r"columns \['gene_set'\] are missing and \[\] are unknown"):
        scores.write_scores(score(case).drop(columns="gene_set"), tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("run,task\nr,t\n")
    with pytest.raises(UserError, match=r"b\.csv: columns .* are missing"):
        scores.read_scores([tmp_path / "b.csv"])
    assert [p.name for p in tmp_path.iterdir()] == ["b.csv"]


def rows(values, **fixed):
    """Return rows from pairs of (section, crop, model_seed, seed) and value."""
    base = {"run": "r", "task": "generation", "dataset": "d", "method": "gest", "variant": "weighted", "level": ""}
    base |= {"gene_set": "all", "metric": "rmse_z", "n": 10, "status": "ok"} | fixed
    records = [base | dict(zip(("section", "crop", "model_seed", "seed"), k, strict=True), value=v) for k, v in values]
    return pd.DataFrame(records)[list(scores.COLUMNS)]


def test_summary_by_hand():
    table = rows(
        [(("A", c, 0, s), v) for (c, s), v in {("0", 0): 1, ("0", 1): 3, ("1", 0): 5, ("1", 1): 7}.items()]
        + [(("B", c, 0, s), v) for (c, s), v in {("0", 0): 10, ("0", 1): 10, ("1", 0): 10, ("1", 1): 14}.items()]
    )
    (row,) = scores.summarise(table).to_dict("records")
    # Means of crops: A 2, 6; B 10, 12. Of sections: 4, 11. Of seeds: (3 + 10) / 2 and (5 + 12) / 2.
    assert row["mean"] == pytest.approx(7.5)
    assert row["sd"] == pytest.approx(np.std([4, 11], ddof=1))
    assert row["sd_crops"] == pytest.approx(np.sqrt((8 + 2) / 2))
    assert row["sd_seeds"] == pytest.approx(np.std([6.5, 8.5], ddof=1))
    assert (row["n_sections"], row["n_crops"], row["n_seeds"], row["n_cells"]) == (2, 4, 2, 40)
    assert row["seeds"] == "0:0 0:1"
    assert row["status"] == "ok"


def test_a_spread_over_fewer_than_two_is_missing():
    (row,) = scores.summarise(rows([(("A", "0", None, 5), 1.2)])).to_dict("records")
    assert row["mean"] == 1.2
    assert np.isnan([row["sd"], row["sd_crops"], row["sd_seeds"]]).all()
    assert row["seeds"] == "5"


def test_one_section_has_only_a_spread_over_crops():
    (row,) = scores.summarise(rows([(("A", str(c), 0, 0), c) for c in range(3)])).to_dict("records")
    assert row["sd_crops"] == pytest.approx(1)
    assert np.isnan(row["sd"])


def test_failures_stay_visible():
    partly_failed = pd.concat(
        [rows([(("A", "0", 0, 0), 1.0)]), rows([(("A", "1", 0, 0), np.nan)], status="too few spots", n=3)]
    )
    all_failed = rows([(("A", "0", None, 0), np.nan)], method="other", status="out of memory")
    summary = scores.summarise(pd.concat([partly_failed, all_failed])).set_index("method")
    assert summary.loc["gest", "mean"] == 1.0
    assert summary.loc["gest", "status"] == "1 of 2 failed: too few spots"
    assert np.isnan(summary.loc["other", "mean"])
    assert summary.loc["other", "n_sections"] == 0
    assert summary.loc["other", "status"] == "1 of 1 failed: out of memory"


def test_variants_and_gene_sets_stay_apart():
    table = pd.concat(
        [
            rows([(("A", "0", 0, 0), v)], variant=n, gene_set=g)
            for v, n, g in [(1, "a", "x"), (2, "b", "x"), (3, "a", "y")]
        ]
    )
    summary = scores.summarise(table)
    assert summary["mean"].tolist() == [1, 3, 2]
