"""GeST: a generative pre-trained transformer for spatial transcriptomics."""

from importlib import import_module
from typing import Any

# `pretrain` and `generate` are modules and, by their public names, functions: the functions are bound here, last.
from gest import attention, loss, position, windows
from gest.config import Config
from gest.errors import UserError
from gest.generate import generate
from gest.model import GeST, load
from gest.pretrain import finetune, pretrain

__all__ = [
    "Config",
    "GeST",
    "UserError",
    "Vocabulary",
    "attention",
    "finetune",
    "generate",
    "load",
    "loss",
    "metrics",
    "position",
    "pretrain",
    "sections",
    "windows",
]


def __getattr__(name: str) -> Any:
    """Load what needs more than torch and numpy when it is first used: the model runs on a bare GPU machine."""
    if name == "Vocabulary":
        return import_module("gest.vocabulary").Vocabulary
    if name in ("metrics", "sections"):
        return import_module(f"gest.{name}")
    raise AttributeError(f"module 'gest' has no attribute '{name}'")
