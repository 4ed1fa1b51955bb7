"""Two-dimensional sinusoidal encoding of positions (A.3, Eq. 12)."""

import torch
from torch import Tensor


def encode(bins: Tensor, dim: int) -> Tensor:
    """Encode position bins as sines and cosines (Eq. 12).

    Parameters
    ----------
    bins
        (..., 2) x and y of each cell, integers in [0, 200] (`gest.windows.position_bins`).
    dim
        d, the width of the encoding; a multiple of 4. The first half encodes x, the second y.

    Returns
    -------
    (..., dim), in double precision if `bins` is double, otherwise in torch's default precision.

    Examples
    --------
    >>> encode(torch.tensor([[0, 200]]), dim=4)
    tensor([[ 0.0000,  1.0000, -0.8733,  0.4872]])
    """
    if dim % 4:
        raise ValueError(f"dim: {dim} is not a multiple of 4 (a sine and a cosine for each of x and y)")
    bins = torch.as_tensor(bins)
    if bins.shape[-1] != 2:
        raise ValueError(f"bins: shape {tuple(bins.shape)} does not end in 2 (x and y)")
    dtype = bins.dtype if bins.dtype == torch.float64 else torch.get_default_dtype()
    i = torch.arange(dim // 4, dtype=torch.float64, device=bins.device)
    angle = bins.double()[..., None] / 10_000 ** (2 * i / dim)  # (..., 2, d/4)
    waves = torch.stack((angle.sin(), angle.cos()), dim=-1)  # (..., 2, d/4, 2): sine at even, cosine at odd indices
    return waves.flatten(-3).to(dtype)  # Eq. 12
