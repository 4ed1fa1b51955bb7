"""From a user's file to results that scanpy reads: `gest prepare` and the verbs that follow it."""

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc


def test_prepare_writes_each_section_as_read_does(sections, tmp_path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    both = ad.concat(sections)
    both.obs["slide"] = both.obs["section"].map({"s0": "a/0", "s1": "b"}).astype("category")
    both.obsm["mm"] = both.obsm.pop("spatial") / 1000
    both.layers["raw"] = both.X.copy()
    both.X = both.X.astype(np.float32) * 0.5
    both.write_h5ad("mine.h5ad")
    options = ("--section-key", "slide", "--label", "region", "--layer", "raw", "--spatial-key", "mm")
    options += ("--microns-per-unit", 1000, "--out", "sections")
    verb("prepare", "mine.h5ad", *options, "--dry-run")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.h5ad"]
    verb("prepare", "mine.h5ad", *options)
    assert sorted(path.name for path in (tmp_path / "sections").iterdir()) == ["a_0.h5ad", "b.h5ad", "sections.csv"]
    written = ad.read_h5ad("sections/a_0.h5ad")
    assert np.array_equal(written.X.toarray(), sections[0].X.toarray())
    np.testing.assert_allclose(written.obsm["spatial"], sections[0].obsm["spatial"])
    assert written.obs["region"].astype(str).tolist() == sections[0].obs["region"].astype(str).tolist()
    table = pd.read_csv("sections/sections.csv")
    assert table["cells"].tolist() == [500, 500]
    np.testing.assert_allclose(table["x_max_um"], [s.obsm["spatial"][:, 0].max() for s in sections], atol=0.06)


def test_prepare_counts_cells_of_no_section(sections, tmp_path, monkeypatch, capsys, verb):
    monkeypatch.chdir(tmp_path)
    both = ad.concat(sections)
    both.obs["section"] = both.obs["section"].astype(object)
    both.obs.iloc[:7, both.obs.columns.get_loc("section")] = np.nan
    both.write_h5ad("mine.h5ad")
    verb("prepare", "mine.h5ad", "--out", "sections")
    assert "warning: mine.h5ad: obs['section'] is missing for 7 of 1000 cells" in capsys.readouterr().err
    assert pd.read_csv("sections/sections.csv")["cells"].tolist() == [493, 500]


def test_verbs_follow_one_another(sections, tmp_path, monkeypatch, caplog, verb):
    """From two sections in one file to clusters that scanpy reads."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(
        "window: 200\nvocabulary: {n_metacells: 15, n_components: 8}\nmodel: {layers: 1, heads: 2, width: 16}\n"
        "pretraining: {steps: 3, batch_size: 2, warmup_steps: 1, validate_every: 3, checkpoint_every: 3}\n"
    )
    ad.concat(sections).write_h5ad("mine.h5ad")
    verb("prepare", "mine.h5ad", "--out", "s")
    fit = ("vocabulary", "s/s0.h5ad", "--config", "small.yaml", "--out", "v.npz")
    verb(*fit, "--dry-run")
    assert "v.npz would hold 15 meta cells of 500 cells, sections: 1; 40 genes" in caplog.text
    assert not (tmp_path / "v.npz").exists()
    verb(*fit)
    pretrain = ("pretrain", "s/s0.h5ad", "--validation", "s/s1.h5ad", "--vocabulary", "v.npz", "--config", "small.yaml")
    verb(*pretrain, "--out", "m", "--dry-run")
    size = "3 steps, 2 windows of 200 µm per step; training sections: 1 (500 cells), held out: 1 (500 cells)"
    assert f"m would hold a model: {size}" in caplog.text
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "m.state").exists()
    verb(*pretrain, "--out", "m")
    verb("embed", "s/s1.h5ad", "--model", "m", "--out", "e.h5ad")
    verb("cluster", "e.h5ad", "--n-clusters", 3, "--algorithm", "kmeans", "--out", "c.h5ad")
    clustered = ad.read_h5ad("c.h5ad")
    assert clustered.obs["gest_cluster"].cat.categories.tolist() == ["0", "1", "2"]
    sc.pp.neighbors(clustered, use_rep="X_gest")
    sc.tl.leiden(clustered, flavor="igraph", n_iterations=2)
    assert clustered.obs["leiden"].notna().all()
    verb("generate", "s/s1.h5ad", "--model", "m", "--unseen-circle", 350, 300, 50, "--out", "g.h5ad")
    generated = ad.read_h5ad("g.h5ad")
    inside = np.hypot(*(generated.obsm["spatial"] - (350, 300)).T) <= 50
    assert np.array_equal(generated.obs["gest_round"] > 0, inside)
    generated.obs["half"] = np.where(generated.obsm["spatial"][:, 0] < 350, "left", "right")
    generated.write_h5ad("h.h5ad")
    verb("generate", "h.h5ad", "--model", "m", "--unseen", "half=left", "--out", "l.h5ad")
    left = ad.read_h5ad("l.h5ad")
    assert np.array_equal(left.obs["gest_round"] > 0, left.obs["half"] == "left")
