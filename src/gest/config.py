"""The configuration of a model and its training, as `config.json` stores it.

`Config` has one section each for model, serialisation, loss and training; `config/README.md` lists all keys.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from gest.errors import UserError
from gest.utils.settings import check_bounds, convert, read_settings, setting


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The decoder; by default the paper's L8H8 (decision 6).

    L8H8 has about one million parameters with T = 1122 genes.
    """

    layers: int = setting(8, at_least=1)
    heads: int = setting(8, at_least=1)
    width: int = 96
    """D, the width of the tokens."""
    position_bins: int = setting(200, at_least=1)
    """Positions in a window are scaled to 0..position_bins (A.3)."""
    dropout: float = setting(0.0, at_least=0, below=1)
    quantised: bool = True
    """Represent cells by meta cells; if false, by their expression, predicted with squared error (decision 31)."""
    spatial: bool = True
    """Encode positions in the tokens; if false, use a vector of ones for every position (ablation of Table A.4)."""


@dataclass(frozen=True, kw_only=True)
class SerialisationConfig:
    """The order of a window's cells (Eq. 5)."""

    order: str = setting("ordinal", choices=("ordinal", "random"))
    """`ordinal` (Eq. 5) or `random` (the ablation)."""
    sharpness: float = setting(1.0, at_least=0)
    """Exponent of the weights of Eq. 5; the paper's is 1."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The hierarchical loss (Eq. 10)."""

    weights: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """The training loop (decision 8)."""

    steps: int = setting(20_000, at_least=1)
    target_cells: int = setting(0, at_least=0)
    """Train until this many cells have been predicted (`gest.training.schedule`); if 0, train for `steps` steps."""
    batch_size: int = setting(16, at_least=1)
    """Windows per step, over all processes."""
    learning_rate: float = 1e-3
    warmup_steps: int = setting(500, at_least=0)
    weight_decay: float = 0.01
    clip: float = 1.0
    """Maximum norm of the gradient."""
    rotate: bool = False
    """Rotate and reflect each window at random; the paper does not."""
    thinning: float = setting(0.0, at_least=0, at_most=1)
    """Share of windows that are thinned at random (`gest.training.sampling.thin`); the paper's is 0."""
    validate_every: int = setting(500, at_least=1)
    checkpoint_every: int = setting(500, at_least=1)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a model and its training."""

    window: float = setting(600.0, above=0)
    """Side of the square training window, µm."""
    model: ModelConfig = field(default_factory=ModelConfig)
    serialisation: SerialisationConfig = field(default_factory=SerialisationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)

    @classmethod
    def of(cls, config: Self | Mapping[str, Any] | None) -> Self:
        """Make a configuration from a mapping, such as that of `config/config.yaml`.

        A `Config` is returned as it is. Other sections of the mapping (`datasets`, `generation`, ...) are ignored.

        Raises
        ------
        UserError
            A section has an unknown key, or a value is not valid.

        Examples
        --------
        >>> Config.of({"window": 400, "model": {"layers": 4}}).model.layers
        4
        """
        if isinstance(config, cls):
            return config
        values = dict(config or {})
        sections = {section.name: section.default_factory for section in fields(cls) if section.name != "window"}
        parts = {name: read_settings(kind, values.get(name, {}), name) for name, kind in sections.items()}
        window = float(convert(values.get("window", cls.window), float, "window"))
        return cls(window=window, **parts)

    def __post_init__(self) -> None:
        check_bounds(self)
        for name in ("model", "serialisation", "loss", "pretraining"):
            check_bounds(getattr(self, name), name)
        width, heads = self.model.width, self.model.heads
        if width % 4:
            raise UserError(f"model.width: {width} is not a multiple of 4 (Eq. 12).")
        if width % heads:
            raise UserError(f"model.width: {width} is not a multiple of model.heads ({heads}).")
        if len(self.loss.weights) != 4:
            raise UserError(f"loss.weights: {len(self.loss.weights)} values are given (expected 4).")

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values, as `config.json` stores them."""
        return asdict(self)
