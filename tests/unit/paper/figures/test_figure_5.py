"""Figure 5 and Table A.3 show their input."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from gest.errors import UserError
from gest.paper.figures.figure_5 import correlation_test, draw_figure_5
from gest.paper.ischemia.reference import read_degs
from gest.paper.ischemia.score import score_calls
from gest.paper.reported import read_paper_values
from gest.paper.tables.table_a3 import table_a3, table_a3_markdown

GENES = ["Rnh1", "Lsp1", "Neurod6", "Satb2"]
SHOWN = {"high": ["Rnh1", "Lsp1"], "low": ["Neurod6"]}
CALLS = pd.Series(["High", "n.s.", "Low", "High"], GENES)
REPLICATES = pd.DataFrame({"pearson_control": [0.5, 0.5, 0.5], "pearson_perturbed": [0.6, 0.4, 0.7]})


@pytest.fixture
def cells(rng):
    control = rng.random((50, 4)).astype(np.float32)
    pearson = {"pearson_control": rng.random(50), "pearson_perturbed": 0.2 + rng.random(50)}
    return ad.AnnData(
        obs=pd.DataFrame(pearson, index=[f"c{i}" for i in range(50)]),
        var=pd.DataFrame({"changed": ["", "", "", "inhibited"], "log2_fold_change": [0.5, 0, -0.25, -1]}, index=GENES),
        obsm={"spatial": rng.random((50, 2)) * 900},
        layers={"control": control, "perturbed": control + np.float32([0.3, 0, -0.2, -0.5])},
        uns={"roi": rng.random((7, 2)) * 200, "section": "Zhuang-ABCA-1.049"},
    )


def draw(cells, shown=SHOWN, run="toy"):
    figure = draw_figure_5(cells, REPLICATES, CALLS, shown=shown, around="PIA_P", run=run)
    figure.canvas.draw()
    return figure


def axes_of(figure):
    return [part.axes for part in figure.subfigs]


def test_boxes_and_test_are_of_the_cells(cells):
    (ax,) = axes_of(draw(cells))[0]
    medians = [line.get_ydata()[0] for line in ax.lines if line.get_color() == "black" and len(line.get_ydata()) == 2]
    for name in ("pearson_control", "pearson_perturbed"):
        assert any(median == pytest.approx(cells.obs[name].median()) for median in medians)
    expected = wilcoxon(cells.obs["pearson_perturbed"], cells.obs["pearson_control"]).pvalue
    assert correlation_test(cells) == pytest.approx(expected)
    assert "50 cells" in ax.get_xlabel()
    assert "higher in 2 of\n3 replicates" in ax.get_xlabel()
    cells.obs["pearson_perturbed"] = cells.obs["pearson_control"]
    assert correlation_test(cells) == 1


def test_maps_show_control_beside_perturbed_on_one_scale(cells):
    figure = draw(cells)
    for part, genes in zip(axes_of(figure)[1:], SHOWN.values(), strict=True):
        rows = [part[i : i + 3] for i in range(0, len(part), 3)]
        for (left, right, _), gene in zip(rows, genes, strict=False):
            maps = [ax.collections[0] for ax in (left, right)]
            for circles, layer in zip(maps, ("control", "perturbed"), strict=True):
                np.testing.assert_array_equal(circles.get_array(), cells[:, gene].layers[layer].ravel())
            assert maps[0].get_clim() == maps[1].get_clim()
            assert left.get_ylabel() == gene
            assert f"call: {CALLS[gene]}".replace("-", "−") in right.get_xlabel()
    assert "run toy, not the paper's data" in figure.get_suptitle()
    assert "run" not in draw(cells, run="paper").get_suptitle()


@pytest.mark.parametrize(
    ("gene", "sentence"),
    [
        ("Satb2", "gene 'Satb2' was inhibited in the region"),
        ("Gfap", r"gene 'Gfap' is not in the model's panel \(choose others, e.g. Rnh1"),
    ],
)
def test_only_unchanged_genes_of_the_panel_can_be_shown(cells, gene, sentence):
    with pytest.raises(UserError, match=sentence):
        draw(cells, {"high": ["Rnh1"], "low": [gene]})


@pytest.fixture
def inputs():
    """Return calls, replicates, core and truth of the paper's genes.

    Two of three placements call every gene right, the other calls all High; the core has 50 genes.
    """
    degs = read_degs()
    rows = [
        {"variant": "roi/1", "model_seed": 0, "placement": p, "seed": 0, "gene": gene, "call": call}
        for p in range(3)
        for gene, call in zip(degs["gene"], degs["truth"] if p else ["High"] * 87, strict=True)
    ]
    calls = pd.DataFrame(rows).assign(log2_fold_change=0.1, changed="")
    core = pd.DataFrame({"gene": degs["gene"][:50], "call": "High"})
    keys = {"variant": "roi/1", "seed": 0, "model_seed": 0, "status": "ok", "n_surroundings": 9, "activated_fell": 0.0}
    metrics = {"metacells_changed": 0.5, "pearson_control": 0.1, "pearson_perturbed": 0.2}
    replicates = pd.DataFrame([{**keys, **metrics, "placement": p} for p in range(3)])
    replicates = replicates.assign(max_difference=np.nan, n_called=np.nan)
    return calls, replicates, core, degs


def test_the_table_has_the_papers_genes_and_predictions(inputs):
    calls, _, core, degs = inputs
    table = table_a3(calls, core, degs)
    assert table["gene"].tolist() == degs["gene"].tolist()
    assert table["paper_prediction"].tolist() == degs["paper_prediction"].tolist()
    assert table["correct"].all()
    assert table["support"].tolist() == [1.0 if kind == "High" else 2 / 3 for kind in table["truth"]]
    assert table["in_file"].sum() == 50
    missing = table_a3(calls[calls["gene"] != "Rnh1"], core, degs).set_index("gene").loc["Rnh1"]
    assert (missing["prediction"], missing["correct"], missing["in_panel"]) == ("n.s.", False, False)


@pytest.mark.parametrize("run", ["paper", "toy"])
def test_the_text_has_our_accuracies_and_the_papers(inputs, run):
    calls, replicates, core, degs = inputs
    fields = {"run": run, "dataset": "stroke", "section": "s"}
    scores = score_calls(calls, replicates, core, degs, main="roi/1", fields=fields)
    values = read_paper_values(Path("config/paper_values.yaml"))
    text = table_a3_markdown(table_a3(calls, core, degs), scores, values, main="roi/1", run=run)
    lines = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in text.splitlines() if line.startswith("|")}
    ours = lines["GeST"]
    assert ours[0].strip().startswith("100.0 [")
    # The core calls its 50 genes High, which is right for 40: of all 87 genes, and of the 50 in the file.
    assert [cell.strip() for cell in lines["copy of the core's DEGs"][:2]] == ["46.0", "80.0"]
    assert lines["commoner type for every gene"][0].strip() == f"{4700 / 87:.1f}"
    reported = [lines[name][-1].strip() for name in ("GeST", "copy of the core's DEGs")]
    assert reported == (["70.11", "44.80"] if run == "paper" else ["", ""])
    assert ("not the paper's data" in text) == (run == "toy")
    assert "cover 50 of them, the model's panel 87" in text
    assert [cell.strip() for cell in lines["Tafa1"][:3]] == ["Low", "Low", "Low"]
    assert lines["Tafa1"][-1].strip().endswith("printed as Tafal")
