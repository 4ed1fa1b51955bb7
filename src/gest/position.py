"""Two-dimensional sinusoidal position encoding (A.3, Eq. 12)."""

import torch
from torch import Tensor


def encode(bins: Tensor, dim: int) -> Tensor:
    """Encode integer position bins (Eq. 12).

    Parameters
    ----------
    bins
        (..., 2) x and y of each cell, anchored to integers in [0, 200].
    dim
        d, the width of the encoding; a multiple of 4. The first half encodes x, the second y.

    Returns
    -------
    (..., dim), in torch's default precision (in double precision where `bins` is double).
    """
    if dim % 4:
        raise ValueError(f"dim is {dim}, and must be a multiple of 4: a sine and a cosine for each of x and y")
    bins = torch.as_tensor(bins)
    if bins.shape[-1] != 2:
        raise ValueError(f"bins has shape {tuple(bins.shape)}, and must end in 2: x and y")
    dtype = bins.dtype if bins.dtype == torch.float64 else torch.get_default_dtype()
    i = torch.arange(dim // 4, dtype=torch.float64, device=bins.device)
    angle = bins.double()[..., None] / 10_000 ** (2 * i / dim)  # (..., 2, d/4)
    waves = torch.stack((angle.sin(), angle.cos()), dim=-1)  # (..., 2, d/4, 2): sine on even, cosine on odd places
    return waves.flatten(-3).to(dtype)  # Eq. 12
