"""GeST: a generative pre-trained transformer for spatial transcriptomics."""

from importlib import import_module
from typing import Any

# Loaded when first used: reading data needs no torch, and the model runs where there is little more than torch.
_HOME = {
    "Annotator": "tasks.annotation.annotator",
    "Config": "config",
    "GeST": "model",
    "UserError": "errors",
    "Vocabulary": "vocabulary",
    "annotate": "tasks.annotation.annotate",
    "embed": "tasks.embed",
    "finetune": "training.pretrain",
    "fit_annotator": "tasks.annotation.fit_annotator",
    "generate": "tasks.generation.generate",
    "load": "hub.load",
    "perturb": "tasks.perturbation.perturb",
    "pretrain": "training.pretrain",
}
_MODULES = ("attention", "loss", "metrics", "position", "roi", "sections", "windows")
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"gest.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"gest.{name}")
    raise AttributeError(f"module 'gest' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
