"""Fine-tuning: class weights, scores, and which weights are kept."""

import numpy as np
import pytest
import torch
from helpers import QUICK
from torch.nn import functional

import gest
from gest.tasks.annotation import fine_tuning
from gest.tasks.annotation.annotate import annotate_tokens
from gest.tasks.annotation.fine_tuning import Targets, class_weights, validate
from gest.tasks.annotation.labels import LabelledSection


def test_classes_weigh_by_inverse_frequency(annotator, tokens, rng):
    codes = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(codes, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    labels = np.full(500, "", dtype="U1")
    labels[rng.choice(500, 10, replace=False)] = np.array(["a", "b", "c"])[codes]
    held_out = Targets(
        [LabelledSection(tokens=tokens[0], labels=labels)], np.array(["a", "b", "c"]), annotator.model, seed=0
    )
    scores = validate(annotator, held_out, weights)
    # The loss is the mean over classes of the mean loss of their cells, computed here from the probabilities.
    cells = np.flatnonzero(labels != "")
    probabilities = annotate_tokens(annotator, tokens[0])[cells]
    losses = -np.log(probabilities[np.arange(10), held_out.codes])
    expected = np.mean([losses[held_out.codes == c].mean() for c in range(3)])
    assert scores["loss"] == pytest.approx(expected, rel=1e-4)
    assert validate(annotator, held_out, None)["loss"] == pytest.approx(losses.mean(), rel=1e-4)
    assert scores["loss"] != pytest.approx(losses.mean(), rel=1e-4)
    predicted = probabilities.argmax(1)
    hits = np.array([((predicted == c) & (held_out.codes == c)).sum() for c in range(3)])
    predicted_and_true = np.array([(predicted == c).sum() + (held_out.codes == c).sum() for c in range(3)])
    assert scores["f1"] == pytest.approx(np.mean(2 * hits / predicted_and_true))  # F1 = 2 TP / (2 TP + FP + FN)


def test_training_uses_the_weights(sections, model, monkeypatch):
    used = []
    cross_entropy = functional.cross_entropy
    monkeypatch.setattr(
        fine_tuning.functional,
        "cross_entropy",
        lambda *arguments, weight: used.append(weight) or cross_entropy(*arguments, weight=weight),
    )
    for on in (True, False):
        used.clear()
        gest.fit_annotator(sections[0], model, label="division", class_weights=on, **QUICK | {"steps": 2})
        assert len(used) >= 3
        assert all((weight is not None) == on for weight in used)


def test_the_weights_kept_have_the_lowest_held_out_loss(sections, model, monkeypatch):
    states, losses = [], iter([3.0, 1.0, 2.0, 4.0, 0.5])

    def scored(annotator, *_):
        states.append(annotator.linear.weight.detach().clone())
        return {"loss": next(losses), "f1": 0.0}

    monkeypatch.setattr(fine_tuning, "validate", scored)
    annotator = gest.fit_annotator(sections[0], model, label="division", patience=2, **QUICK | {"steps": 40})
    assert len(states) == 4, "training stops after two validations without a lower loss"
    assert torch.equal(annotator.linear.weight, states[1])
    assert (annotator.metrics["steps"], annotator.metrics["kept_step"]) == (16, 8)
    losses = iter([float("nan")] * 9)
    with pytest.raises(FloatingPointError, match="held-out loss"):
        gest.fit_annotator(sections[0], model, label="division", patience=2, **QUICK)
