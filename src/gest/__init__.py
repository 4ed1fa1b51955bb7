"""GeST: a generative pre-trained transformer for spatial transcriptomics."""

from importlib import import_module
from typing import Any

# Imported on first use: reading data needs no torch, and the model needs little more than torch.
_NAMES = {
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
__all__ = sorted([*_NAMES, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"gest.{_NAMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"gest.{name}")
    raise AttributeError(f"module 'gest' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
