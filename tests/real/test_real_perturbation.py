"""Perturb the markers of one cell class in real tissue, from the command line."""

import sys

import numpy as np
import pandas as pd
import pytest

import gest
from gest import cli
from gest.data.sources.anndata import read
from gest.data.tokenize import expression
from gest.sections import write_section
from gest.training.vocabulary import fit_sections

pytestmark = pytest.mark.real

CONFIG = {
    "window": 400,
    "model": {"layers": 2, "heads": 2, "width": 32},
    "pretraining": {
        "steps": 200, "batch_size": 8, "learning_rate": 3e-3, "warmup_steps": 20, "validate_every": 200,
        "checkpoint_every": 200,
    },
}  # fmt: skip
CLASS = "OD Mature 2"  # mature oligodendrocytes, which lie next to each other in tracts


@pytest.mark.slow
def test_markers_of_one_class_in_a_region_of_200_um(real_data, tmp_path):
    path = real_data / "merfish_moffitt_poa.h5ad"
    names = ("A1_bregma_+0.26", "A1_bregma_-0.29", "A18_bregma_+0.11")
    labels = {"cell_type": "cell_type"}
    *train, test = (
        read(path, name=n, section_key="section", labels=labels, drop={"cell_type": ["Ambiguous"]}) for n in names
    )
    vocabulary = fit_sections(train, {"n_metacells": 150})
    gest.pretrain(train, vocabulary, CONFIG, out=tmp_path / "model")
    write_section(test, tmp_path / "test.h5ad")

    values, is_class = expression(test, vocabulary).toarray(), (test.obs["cell_type"] == CLASS).to_numpy()
    effect = values[is_class].mean(0) - values[~is_class].mean(0)
    order = np.argsort(effect)
    markers, others = vocabulary.genes[order[-5:]], vocabulary.genes[order[:5]]
    x, y = test.obsm["spatial"].mean(0)
    out = tmp_path / "out"
    sys.argv = ["gest", "perturb", str(tmp_path / "test.h5ad"), "--model", str(tmp_path / "model"), "--out", str(out)]
    sys.argv += ["--roi-circle", str(x), str(y), "100"]
    sys.argv += [argument for gene in markers for argument in ("--activate", gene)]
    sys.argv += [argument for gene in others for argument in ("--inhibit", gene)]
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code

    deg = pd.read_csv(out / "deg.csv", index_col="gene")
    assert (deg.loc[markers, "roi_log2_fold_change"] > 0.5).all()  # the change is visible after Algorithm 2
    assert deg.loc["Opalin", ["call", "changed"]].fillna("").tolist() == [
        "High",
        "",
    ]  # another marker of the class, which was not changed
    assert deg.loc[markers, "log2_fold_change"].mean() > 0 > deg.loc[others, "log2_fold_change"].mean()
    controls = pd.read_csv(out / "controls.csv").set_index("control")
    assert (controls.loc[["nothing changed", "distant"], ["max_difference", "n_called"]] == 0).all(axis=None)
    assert controls.loc["distant", "metacells_changed"] > 0.5
    assert len(pd.read_csv(out / "sensitivity.csv")) == 3 * len(deg)
    assert (out / "map.png").stat().st_size > 50_000
