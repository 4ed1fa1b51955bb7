"""Write the card of a model: its use, data, genes, metrics and limits."""

from __future__ import annotations

import json
from typing import Any

import yaml

from gest.model import GeST
from gest.tasks.annotation.annotator import Annotator

_SHOWN = 12  # number of genes that the card lists


def model_card(model: GeST | Annotator, *, data: str = "", licence: str = "unknown") -> str:
    """Write the card of a model or an annotator.

    The card is Markdown, with front matter for the Hugging Face Hub.

    Parameters
    ----------
    data
        Description of the training data, which a model does not store; without it, the card says that they are not
        stated.
    licence
        Licence of the weights.
    """
    base = model.model if isinstance(model, Annotator) else model
    front_matter = {"library_name": "gest", "license": licence, "tags": ["spatial-transcriptomics", "gest"]}
    parts = [
        f"---\n{yaml.safe_dump(front_matter, sort_keys=False)}---",
        f"# GeST: {len(base.vocabulary.genes)} genes, windows of {base.config.window:g} µm",
        *_use(model, base),
        *_data(base, data),
        *_genes(base),
        *_metrics(model, base),
        *_limits(base),
    ]
    return "\n\n".join(parts) + "\n"


def _use(model: GeST | Annotator, base: GeST) -> list[str]:
    shape = base.config.model
    n_parameters = sum(p.numel() for p in model.parameters())
    description = (
        f"A transformer over the cells of a window of tissue: {shape.layers} layers, {shape.heads} heads, width "
        f"{shape.width}, {n_parameters:,} parameters."
    )
    call = 'adata = gest.embed(adata, model)  # obsm["X_gest"]'
    if isinstance(model, Annotator):
        description += f" Fine-tuned to label cells by `{model.label}`: {', '.join(model.classes)}."
        call = f'adata = gest.annotate(adata, model)  # obs["gest_{model.label}"]'
    code = f'```python\nimport gest\n\nmodel = gest.load("FOLDER, URL or hf://OWNER/NAME")\n{call}\n```'
    return ["## Use", description, code]


def _data(base: GeST, data: str) -> list[str]:
    text = f"{data.rstrip('.')}." if data else "The tissue and the technology of the training data are not stated."
    n_cells = base.metrics.get("training_cells")
    n_targets = base.metrics.get("target_cells_seen")
    if n_cells and n_targets:
        text += f" Trained on {n_cells:,} cells, from {n_targets:,} predictions of a cell."
    return ["## Data", text]


def _genes(base: GeST) -> list[str]:
    vocabulary = base.vocabulary
    genes = ", ".join(vocabulary.genes[:_SHOWN])
    if len(vocabulary.genes) > _SHOWN:
        genes += f", and {len(vocabulary.genes) - _SHOWN} more (`genes` in vocabulary.npz)"
    expected = "log-normalised values, not counts"
    if vocabulary.normalisation:
        expected = f"raw counts, and scales them to {vocabulary.normalisation['target_sum']:g} per cell before the log"
    sizes = vocabulary.sizes
    metacells = (
        f"Its vocabulary has {len(vocabulary)} meta cells, each the mean of {sizes.min()} to {sizes.max()} cells."
    )
    return ["## Genes", f"{genes}.", f"The model expects {expected}. {metacells}"]


def _metrics(model: GeST | Annotator, base: GeST) -> list[str]:
    metrics: dict[str, Any] = dict(base.metrics)
    if isinstance(model, Annotator):
        metrics |= {f"annotator: {name}": value for name, value in model.metrics.items()}
    rows = [f"| {name} | {json.dumps(value)} |" for name, value in metrics.items()]
    table = "\n".join(["| metric | value |", "|---|---|", *rows])
    note = (
        "`loss` is the training loss (Eq. 10), `validation_loss` that of held-out sections (null without any), and "
        "`marginal_loss` that of a model which knows only the frequencies of the meta cells: a model that has learnt "
        "spatial context lies below it."
    )
    return ["## Metrics", table, note]


def _limits(base: GeST) -> list[str]:
    unit = "counts" if base.vocabulary.normalisation else "log-normalised values"
    return [
        "## Limits",
        "\n".join(
            [
                f"- A cell's context reaches {base.config.window / 2:g} µm in x and in y; coordinates must be in µm.",
                f"- Data must hold {unit} of at least half of the genes; a missing gene takes its mean.",
                "- Species, organs or technologies other than those of the training data are an extrapolation.",
                "- Generated expression is an expected value: smoother than measured cells, and no measurement.",
                "- A perturbation shows which surroundings go with a changed region, not what a change would cause.",
            ]
        ),
    ]
