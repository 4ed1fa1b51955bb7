"""GeST: a generative pre-trained transformer for spatial transcriptomics."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

# Loaded when first used: reading data needs no torch, and the model runs where there is little more than torch.
_HOME = {
    "Annotator": "annotator",
    "Config": "config",
    "GeST": "model",
    "UserError": "errors",
    "Vocabulary": "vocabulary",
    "annotate": "annotate",
    "embed": "niche",
    "finetune": "pretrain",
    "fit_annotator": "annotate",
    "generate": "generate",
    "load": "annotator",
    "perturb": "perturb",
    "pretrain": "pretrain",
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


class _Package(ModuleType):
    """Where a module holds the public function of its own name, `gest.name` is the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, getattr(value, name) if _HOME.get(name) == name else value)


sys.modules[__name__].__class__ = _Package
