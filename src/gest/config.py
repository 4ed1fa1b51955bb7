"""The configuration of a model and of its training: what `config.json` in a model directory holds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from gest.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The decoder. The default is the paper's L8H8 of about one million parameters at T = 1122 (decision 6)."""

    layers: int = 8
    heads: int = 8
    width: int = 96
    """D, of the tokens."""
    position_bins: int = 200
    """The training window is stretched over 0..position_bins (A.3)."""
    dropout: float = 0.0
    quantised: bool = True
    """Cells are meta cells; else each is its own expression, in and out, learnt by squared error (decision 31)."""
    spatial: bool = True
    """Position tokens tell places apart; else all are vectors of ones (the ablation of Table A.4)."""


@dataclass(frozen=True, kw_only=True)
class SerialisationConfig:
    """The order of a window's cells (Eq. 5)."""

    order: str = "ordinal"
    """`ordinal` (Eq. 5) or `random` (the ablation)."""
    sharpness: float = 1.0
    """Exponent on the weights of Eq. 5; 1 is the paper."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The hierarchical loss (Eq. 10)."""

    weights: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """The training loop (decision 8)."""

    steps: int = 20_000
    target_cells: int = 0
    """Train until so many cells were predicted, in as many steps as it takes (`gest.training.schedule`); 0: `steps` decide."""
    batch_size: int = 16
    """Windows per step, over all processes."""
    learning_rate: float = 1e-3
    warmup_steps: int = 500
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of the gradient."""
    rotate: bool = False
    """Rotate and reflect each window at random; off is the paper."""
    thinning: float = 0.0
    """Share of windows that are thinned at random (`windows.thin`); 0 is the paper."""
    validate_every: int = 500
    checkpoint_every: int = 500


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides what a model is and how it is trained."""

    window: float = 600.0
    """Side of the square training window, µm."""
    model: ModelConfig = field(default_factory=ModelConfig)
    serialisation: SerialisationConfig = field(default_factory=SerialisationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)

    @classmethod
    def of(cls, config: Self | Mapping[str, Any] | None) -> Self:
        """Take a configuration, or a mapping with the same nested keys, such as `config/config.yaml` holds.

        Keys of the workflow beside them (`datasets`, `generation`, ...) are left alone.

        Raises
        ------
        UserError
            An unknown key inside one of the sections, or a value that cannot be.
        """
        if isinstance(config, cls):
            return config
        given = dict(config or {})
        sections = {f.name: f.default_factory for f in fields(cls) if f.name != "window"}
        parts: dict[str, Any] = {"window": float(given.get("window", cls.window))}
        for name, kind in sections.items():
            values = dict(given.get(name, {}))
            known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
            if unknown := sorted(set(values) - set(known)):
                raise UserError(f"config: '{name}.{unknown[0]}' is not a key; '{name}' takes {', '.join(known)}.")
            if name == "loss" and "weights" in values:
                values["weights"] = tuple(map(float, values["weights"]))  # 1 and 0 are weights too
            for key, value in values.items():
                check_type(value, getattr(kind, key), f"config: '{name}.{key}'")
            parts[name] = kind(**values)  # type: ignore[misc]
        return cls(**parts)

    def __post_init__(self) -> None:
        model, order = self.model, self.serialisation.order
        checks = (
            (self.window > 0, f"'window' is {self.window}, and must be a length in µm above 0"),
            (model.width % 4 == 0, f"'model.width' is {model.width}, and must be a multiple of 4 (Eq. 12)"),
            (
                model.heads >= 1 and model.width % model.heads == 0,
                f"'model.width' is {model.width}, and must be a multiple of 'model.heads' = {model.heads}",
            ),
            (model.position_bins >= 1, "'model.position_bins' must be at least 1"),
            (0 <= model.dropout < 1, f"'model.dropout' is {model.dropout}, and must be at least 0 and below 1"),
            (model.layers >= 1, f"'model.layers' is {model.layers}, and must be at least 1"),
            (order in ("ordinal", "random"), f"'serialisation.order' is '{order}', and must be ordinal or random"),
            (self.serialisation.sharpness >= 0, "'serialisation.sharpness' must not be negative"),
            (len(self.loss.weights) == 4, f"'loss.weights' has {len(self.loss.weights)} values, and must have 4"),
            (self.pretraining.batch_size >= 1, "'pretraining.batch_size' must be at least 1"),
            (self.pretraining.warmup_steps >= 0, "'pretraining.warmup_steps' must not be negative"),
            (self.pretraining.validate_every >= 1, "'pretraining.validate_every' must be at least 1"),
            (self.pretraining.checkpoint_every >= 1, "'pretraining.checkpoint_every' must be at least 1"),
            (0 <= self.pretraining.thinning <= 1, "'pretraining.thinning' must lie between 0 and 1"),
            (self.pretraining.steps >= 1, "'pretraining.steps' must be at least 1"),
            (self.pretraining.target_cells >= 0, "'pretraining.target_cells' must not be negative"),
        )
        for holds, sentence in checks:
            if not holds:
                raise UserError(f"config: {sentence}.")

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as `config.json` holds them."""
        return asdict(self)


def check_type(value: Any, default: Any, what: str) -> None:
    """Raise UserError if a value is not of its default's type; a whole number stands for a float too."""
    number = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, number) or (isinstance(value, bool) and not isinstance(default, bool)):
        hint = " (YAML takes 1e-3 for text: write 1.0e-3)" if isinstance(value, str) else ""
        raise UserError(f"{what} is {value!r}, and must be of type {type(default).__name__}{hint}.")
