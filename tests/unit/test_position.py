"""The encoding of positions (Eq. 12) against a NumPy reference that goes index by index."""

import numpy as np
import pytest
import torch

from gest import position


def reference(x: int, y: int, d: int) -> np.ndarray:
    out = np.empty(d)
    for i in range(d // 4):
        out[2 * i] = np.sin(x / 10000 ** (2 * i / d))
        out[2 * i + 1] = np.cos(x / 10000 ** (2 * i / d))
        out[2 * i + d // 2] = np.sin(y / 10000 ** (2 * i / d))
        out[2 * i + 1 + d // 2] = np.cos(y / 10000 ** (2 * i / d))
    return out


@pytest.mark.parametrize("dim", [4, 12, 96])
def test_equals_equation_12(dim):
    bins = np.random.default_rng(0).integers(0, 201, (3, 5, 2))
    expected = np.array([[reference(x, y, dim) for x, y in row] for row in bins])
    encoded = position.encode(torch.tensor(bins), dim)
    assert encoded.shape == (3, 5, dim)
    np.testing.assert_allclose(encoded.numpy(), expected, atol=1e-7)
    np.testing.assert_allclose(position.encode(torch.tensor(bins, dtype=torch.float64), dim), expected, atol=1e-13)


def test_every_bin_has_a_distinct_encoding():
    bins = torch.stack(torch.meshgrid(torch.arange(201), torch.arange(201), indexing="ij"), -1).reshape(-1, 2)
    codes = position.encode(bins, 96)
    nearest = torch.cdist(codes[:2000], codes).fill_diagonal_(np.inf).min()
    assert nearest > 0.5


def test_width_must_divide_by_four():
    with pytest.raises(ValueError, match="is not a multiple of 4"):
        position.encode(torch.zeros(1, 2), 10)
