"""The spatial context-aware decoder (section 3.3), and its directory on disk.

`GeST` runs cell tokens and position tokens through its blocks as two streams (Eq. 6). Training runs whole windows
(`encode`); annotation runs whole niches (`niche`); prediction and niche embedding run only targets that see all cells
(`context`). `GeST.save` writes a model directory, and `read_model` reads it.

Shapes: B windows, N cells in a window, L = N − 1, U targets, K meta cells, T genes, D width.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gest import position
from gest.attention import cell_attention, context_attention, target_attention
from gest.config import Config
from gest.errors import UserError
from gest.utils.files import whole_folder

if TYPE_CHECKING:  # this module must work with torch and NumPy alone
    from gest.vocabulary import Vocabulary


MARKER = "config.json"
"""The file by which a model directory is recognised."""


class Block(nn.Module):
    """One pre-norm transformer layer.

    The caller computes the attention between `split` and `join`.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries, keys and values (B, H, n, d) of tokens (B, n, D)."""
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def join(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add the attended values (B, H, n, d) to x (B, n, D), then feed forward."""
        x = x + self.dropout(self.project(attended.transpose(1, 2).flatten(-2)))
        return x + self.dropout(self.feed(self.norm_feed(x)))


class GeST(nn.Module):
    """A decoder over the cells of a window, with its vocabulary of meta cells.

    Parameters
    ----------
    config
        A `Config`, or a mapping with the keys of `config/config.yaml`.
    vocabulary
        The meta cells; their mean expression is the fixed codebook W of Eq. 7.

    Examples
    --------
    >>> import gest
    >>> import numpy as np
    >>> expression = np.random.default_rng(0).random((100, 20), dtype=np.float32)
    >>> vocabulary = gest.Vocabulary.fit(expression, n_metacells=10, n_components=5, hierarchy=(4, 3, 2))
    >>> model = gest.GeST({"model": {"layers": 1, "heads": 1, "width": 8}}, vocabulary)
    >>> tokens, bins = torch.tensor([[3, 1, 4]]), torch.tensor([[[0, 0], [100, 50], [200, 200]]])
    >>> model(tokens, bins).shape  # the second and third cell, each predicted from those before it
    torch.Size([1, 2, 10])
    """

    def __init__(self, config: Config | Mapping[str, Any] | None, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = Config.of(config)
        self.vocabulary = vocabulary
        self.quantised = self.config.model.quantised
        self.metrics: dict[str, Any] = {}
        shape = self.config.model
        D, T = shape.width, vocabulary.expression.shape[1]
        self.register_buffer("codebook", torch.tensor(vocabulary.expression), persistent=False)  # W (K, T)
        self.register_buffer("levels", torch.tensor(vocabulary.levels), persistent=False)  # (3, K)
        bins = torch.arange(shape.position_bins + 1)
        halves = position.encode(torch.stack((bins, bins), -1), D).unflatten(-1, (2, D // 2))
        if not shape.spatial:
            halves = torch.ones_like(halves)  # the ablation of Table A.4: all positions look the same
        self.register_buffer("encodings", halves.transpose(0, 1).contiguous(), persistent=False)  # (2, bins, D/2)
        self.embed = nn.Linear(T, D)
        self.dropout = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(Block(D, shape.heads, shape.dropout) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(D)
        self.hidden = nn.Sequential(nn.Linear(D, D), nn.GELU())
        self.decode = nn.Linear(D, T)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Initialise the embedding and the decoder along the principal components."""
        pca = torch.tensor(self.vocabulary.components[: self.config.model.width])  # (p, T)
        centred = self.codebook - torch.tensor(self.vocabulary.mean)
        spread = (centred @ pca.T).std(0, correction=0).clamp_min(1e-6)
        self.embed.weight.zero_()
        self.embed.weight[: len(pca)] = pca / spread[:, None]  # whitened over the meta cells
        self.embed.bias.zero_()
        self.embed.bias[: len(pca)] = -(pca @ torch.tensor(self.vocabulary.mean)) / spread
        self.decode.weight[:, : len(pca)] = 0.1 * pca.T
        if not self.quantised:  # the output is expression itself: start from the mean cell
            self.decode.bias.copy_(torch.tensor(self.vocabulary.mean))
        for block in self.blocks:
            for layer in (block.project, block.feed[2]):  # residual branches start small, as in GPT-2
                nn.init.normal_(layer.weight, std=0.02 / (2 * len(self.blocks)) ** 0.5)
                nn.init.zeros_(layer.bias)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.codebook.device

    def position_tokens(self, bins: Tensor) -> Tensor:
        """Encode positions, s(x): bins (B, n, 2) -> (B, n, D)."""
        x, y = self.encodings[0][bins[..., 0]], self.encodings[1][bins[..., 1]]
        return torch.cat((x, y), dim=-1)

    def cell_tokens(self, tokens: Tensor, bins: Tensor) -> Tensor:
        """Embed cells, gs(x) = g(x) + s(x): (B, n, D).

        `tokens` are (B, n), or expression (B, n, T) without quantisation; `bins` are (B, n, 2).
        """
        if not self.quantised:
            return self.embed(tokens) + self.position_tokens(bins)
        rows = self.embed(self.codebook)  # there are only K different inputs: embed each once, then look them up
        return functional.embedding(tokens, rows) + self.position_tokens(bins)

    def output(self, h: Tensor) -> Tensor:
        """Predict cells from the output tokens (..., D) of targets.

        The result is logits (..., K) or, without quantisation, expression (..., T).
        """
        return self.logits(h) if self.quantised else self.decode(self.hidden(self.norm(h)))

    def logits(self, h: Tensor) -> Tensor:
        """Compute the logits of Eq. 7: (..., D) -> (..., K).

        z = ŷ Wᵀ with ŷ = V h' + b is computed as z = h' (W V)ᵀ + W b.
        """
        last = self.hidden(self.norm(h))
        with torch.autocast(h.device.type, enabled=False):  # bfloat16 would round a logit of 100 by up to 0.25
            folded = self.codebook @ self.decode.weight  # (K, D)
            return functional.linear(last.to(folded.dtype), folded, self.codebook @ self.decode.bias)  # Eq. 7

    def encode(self, tokens: Tensor, bins: Tensor) -> Tensor:
        """Run whole windows: tokens (B, N), bins (B, N, 2) -> targets (B, N − 1, D).

        Here and in the methods below, `tokens` are expression (B, N, T) without quantisation.
        """
        return self._streams(tokens[:, :-1], bins[:, :-1], bins[:, 1:])

    def niche(self, tokens: Tensor, bins: Tensor, lengths: Tensor) -> Tensor:
        """Run niches (section 3.5): N cell tokens, and a position token for every cell.

        Parameters
        ----------
        tokens, bins
            (B, N) and (B, N, 2): the target cell first, then its neighbours in serial order, padded at the end.
        lengths
            (B,) how many cells are not padding.

        Returns
        -------
        (B, N, D) outputs after the last norm. Output i belongs to cell i + 1 of the sequence and sees the cells before
        it. The position token of the target cell comes last: its output, at index length − 1, sees all cells. Outputs
        at and after index length are padding.
        """
        target_bins = bins.roll(-1, dims=1)
        target_bins[torch.arange(len(bins), device=bins.device), lengths - 1] = bins[:, 0]
        return self.norm(self._streams(tokens, bins, target_bins))

    def _streams(self, tokens: Tensor, bins: Tensor, target_bins: Tensor) -> Tensor:
        """Run L cells and L targets, where target i sees cells 1..i: targets (B, L, D)."""
        x = self.dropout(self.cell_tokens(tokens, bins))  # the two streams of Eq. 6
        y = self.dropout(self.position_tokens(target_bins))
        for block in self.blocks:
            (q, k, v), (q_own, k_own, v_own) = block.split(x), block.split(y)
            y = block.join(y, target_attention(q_own, k, v, k_own, v_own))
            if block is not self.blocks[-1]:  # after the last layer only the targets are read
                x = block.join(x, cell_attention(q, k, v))
        return y

    def forward(self, tokens: Tensor, bins: Tensor) -> Tensor:
        """Predict each cell from those before it: `output` (B, N − 1, K or T).

        Output i is the prediction of cell i + 1 of the sequence. Padding must be at the end of a sequence, where no
        other token sees it.
        """
        return self.output(self.encode(tokens, bins))

    def predict(self, tokens: Tensor, bins: Tensor, n_seen: Tensor, target_bins: Tensor) -> Tensor:
        """Predict targets in parallel, each from all seen cells of its window (A.2)."""
        return self.output(self.context(tokens, bins, n_seen, target_bins))

    def context(self, tokens: Tensor, bins: Tensor, n_seen: Tensor, target_bins: Tensor) -> Tensor:
        """Run targets, each of which sees all seen cells but no other target.

        Parameters
        ----------
        tokens, bins
            (B, L) and (B, L, 2) of the seen cells in their serial order, padded at the end.
        n_seen
            (B,) how many of them are not padding; at least one.
        target_bins
            (B, U, 2) of the targets.

        Returns
        -------
        (B, U, D), before the last norm.
        """
        x, y = self.cell_tokens(tokens, bins), self.position_tokens(target_bins)
        for block in self.blocks:
            (q, k, v), (q_own, k_own, v_own) = block.split(x), block.split(y)
            y = block.join(y, context_attention(q_own, k, v, k_own, v_own, n_seen))
            if block is not self.blocks[-1]:
                x = block.join(x, cell_attention(q, k, v))
        return y

    def save(self, model_dir: str | os.PathLike) -> None:
        """Write the model directory: weights, configuration, vocabulary and metrics.

        The metrics include the number of parameters and the git commit.

        Raises
        ------
        UserError
            `model_dir` exists and is not a model directory.
        """
        from safetensors.torch import save_file

        parameters = sum(p.numel() for p in self.parameters())
        metrics = self.metrics | {"parameters": parameters, "git_commit": _git_commit()}
        with whole_folder(model_dir, MARKER) as partial:
            save_file({name: w.contiguous() for name, w in self.state_dict().items()}, partial / "model.safetensors")
            (partial / MARKER).write_text(json.dumps(self.config.to_dict(), indent=2) + "\n")
            (partial / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
            self.vocabulary.save(partial / "vocabulary.npz")


def read_model(folder: Path) -> GeST:
    """Read a model directory onto the CPU, in evaluation mode.

    Raises
    ------
    UserError
        A file is missing or damaged, or the files do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from gest.vocabulary import Vocabulary

    for name in ("model.safetensors", MARKER, "vocabulary.npz"):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: '{name}' is missing from the model directory; create it with `gest pretrain`.")
    try:
        settings = json.loads((folder / MARKER).read_text())
        weights = load_file(folder / "model.safetensors")
        path = folder / "metrics.json"
        metrics = json.loads(path.read_text()) if path.is_file() else {}
    except (ValueError, SafetensorError) as error:
        raise UserError(f"{folder}: the model directory is damaged ({error}); train or download it again.") from error
    model = GeST(settings, Vocabulary.load(folder / "vocabulary.npz"))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{folder}: the weights do not fit config.json and vocabulary.npz ({reason}).") from error
    model.metrics = metrics
    return model.eval()


def _git_commit() -> str | None:
    """Return the commit of the package's repository; None if it is not in one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
