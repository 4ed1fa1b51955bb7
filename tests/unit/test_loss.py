"""The loss (Eq. 8 to 10) against NumPy, also where probabilities underflow."""

import numpy as np
import pytest
import torch

from gest.loss import hierarchical_loss


def reference(logits: np.ndarray, targets: np.ndarray, levels: np.ndarray, weights) -> float:
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)  # Eq. 8
    total = weights[0] * -np.log(p[np.arange(len(p)), targets]).mean()
    for alpha, labels in zip(weights[1:], levels, strict=True):
        grouped = np.stack([p[:, labels == k].sum(1) for k in range(labels.max() + 1)], 1)  # Eq. 9
        total += alpha * -np.log(grouped[np.arange(len(p)), labels[targets]]).mean()  # Eq. 10
    return total


@pytest.fixture
def case(rng):
    levels = np.stack([rng.permutation(np.arange(30) % k) for k in (15, 10, 5)])
    return rng.normal(size=(64, 30)), rng.integers(0, 30, 64), levels


@pytest.mark.parametrize("weights", [(0.25, 0.25, 0.25, 0.25), (1, 0, 0, 0), (0.1, 0.2, 0.3, 0.4)])
def test_equals_numpy(case, weights):
    logits, targets, levels = case
    loss = hierarchical_loss(torch.tensor(logits), torch.tensor(targets), torch.tensor(levels), weights)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(reference(logits, targets, levels, weights), abs=1e-12)


def test_level_zero_is_cross_entropy(case):
    logits, targets, levels = (torch.tensor(x) for x in case)
    loss = hierarchical_loss(logits, targets, levels, (1, 0, 0, 0))
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, targets))


def test_any_leading_shape(case):
    logits, targets, levels = (torch.tensor(x) for x in case)
    folded = hierarchical_loss(logits.view(8, 8, 30), targets.view(8, 8), levels)
    torch.testing.assert_close(folded, hierarchical_loss(logits, targets, levels))


def test_gradient(case):
    logits, targets, levels = (torch.tensor(x) for x in case)
    logits = logits[:6].requires_grad_()
    assert torch.autograd.gradcheck(lambda z: hierarchical_loss(z, targets[:6], levels), (logits,))


def test_unlikely_targets_beside_likely_ones(case):
    """Where the group of a target is too unlikely for a plain sum, log space gives the exact loss and gradient."""
    logits, targets, levels = (torch.tensor(x) for x in case)
    logits[::3] *= 200
    losses, gradients = [], []
    for z in (logits, logits.float()):
        z = z.requires_grad_()
        loss = hierarchical_loss(z, targets, levels)
        losses.append(loss.item())
        gradients.append(torch.autograd.grad(loss, z)[0].double())
    true_groups = [
        torch.where(labels != labels[targets][:, None], -torch.inf, logits).logsumexp(-1) for labels in levels
    ]
    total = logits.logsumexp(-1)
    exact = torch.stack([total - x for x in (logits.gather(1, targets[:, None])[:, 0], *true_groups)]).mean()
    assert losses == pytest.approx([exact.item()] * 2, rel=1e-6)
    expected = torch.autograd.grad(exact, logits)[0]
    torch.testing.assert_close(gradients[0], expected)
    torch.testing.assert_close(gradients[1], expected, rtol=1e-4, atol=1e-6)


def test_no_underflow():
    """The probability exp(-500) of a group underflows in float32, yet its loss is 500 and its gradient finite."""
    logits = torch.zeros(1, 4).index_fill(1, torch.tensor([2, 3]), -500.0).requires_grad_()
    levels = torch.tensor([[0, 0, 1, 1]] * 3)
    loss = hierarchical_loss(logits, torch.tensor([2]), levels, (0, 1, 0, 0))
    assert loss.item() == pytest.approx(500, abs=1e-3)
    loss.backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[0.5, 0.5, -0.5, -0.5]]))
