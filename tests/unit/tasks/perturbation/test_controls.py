"""Controls of a perturbation, and its dependence on σ."""

import numpy as np
import pandas as pd

from gest.roi import Circle
from gest.tasks.perturbation import controls as perturb_controls
from gest.tasks.perturbation.controls import controls, sensitivity
from gest.tasks.perturbation.perturb import compare, perturb
from gest.tasks.perturbation.surroundings import Surroundings

ROI = Circle(200, 200, 80)


CHANGES = {"activate": ["gene_1", "gene_4"], "inhibit": ["gene_2", "gene_8", "gene_9"]}


def test_controls(learnt):
    model, section, _ = learnt
    for context in ("roi", "tissue"):
        surroundings = Surroundings(section, model, roi=Circle(150, 150, 60), context=context)
        result = compare(surroundings, activate=["gene_1"], inhibit=["gene_2", "gene_4"])
        table = controls(surroundings, result, n_shuffles=2)
        assert table["control"].tolist() == ["nothing changed", "distant", "shuffled names", "shuffled names"]
        assert (table["status"] == "ok").all()
        zero = table.iloc[:2]
        assert (zero[["max_difference", "n_called"]] == 0).all(axis=None)
        assert zero["metacells_changed"].tolist()[0] == 0
        assert zero["metacells_changed"].tolist()[1] > 0.1  # distant cells were changed
        assert (table["max_difference"][2:] > 0).all()
        assert table["agreement"][2:].between(0, 1).all()
        assert table["chance"][2:].between(0, 1).all()


def test_the_distant_control_fails_within_reach(learnt, monkeypatch):
    model, section, _ = learnt
    surroundings = Surroundings(section, model, roi=Circle(150, 150, 60), context="tissue")
    result = compare(surroundings, activate=["gene_1"], inhibit=["gene_2", "gene_4"])
    monkeypatch.setattr(perturb_controls, "_find_distant_cells", lambda surroundings: surroundings.roi)
    assert controls(surroundings, result, n_shuffles=0).set_index("control").loc["distant", "max_difference"] > 0


def test_distant_cells_are_in_no_window(learnt):
    model, section, _ = learnt
    xy = section.obsm["spatial"]
    for context, reach in (("roi", 150), ("tissue", 300)):
        surroundings = Surroundings(section, model, roi=Circle(150, 150, 60), context=context)
        far = perturb_controls._find_distant_cells(surroundings)
        assert len(far) == len(surroundings.roi)
        gap = np.abs(xy[far][:, None] - xy[surroundings.cells]).max(2).min()
        assert gap > reach


def test_a_section_too_small_for_the_distant_control(sections, model):
    surroundings = Surroundings(sections[0], model, roi=Circle(350, 300, 150), context="tissue")
    table = controls(surroundings, compare(surroundings, **CHANGES), n_shuffles=0).set_index("control")
    assert "too small" in table.loc["distant", "status"]


def test_sensitivity_over_sigma(sections, model):
    surroundings = Surroundings(sections[0], model, roi=ROI)
    table = sensitivity(surroundings, compare(surroundings, **CHANGES), sigmas=[20, 80])
    assert table.groupby("sigma").size().to_dict() == {20: 40, 80: 40}
    for sigma in (20, 80):
        single = perturb(sections[0], model, roi=ROI, sigma=sigma, **CHANGES)
        rows = table[table["sigma"] == sigma][single.deg.columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, single.deg)
    assert table["activated_fell"].iloc[0] >= table["activated_fell"].iloc[-1]
