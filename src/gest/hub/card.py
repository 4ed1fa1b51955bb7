"""The model card: what a shared model is, learnt from, reaches and cannot do, written from the model itself."""

from __future__ import annotations

import json
from typing import Any

import yaml

from gest.model import GeST
from gest.tasks.annotation.annotator import Annotator

_SHOWN = 12  # genes


def model_card(model: GeST | Annotator, *, data: str = "", licence: str = "unknown") -> str:
    """Write the card (Markdown, with the front matter that the Hugging Face Hub reads) of a model or an annotator.

    Parameters
    ----------
    data
        What it was trained on. A model does not know: without this the card says so.
    licence
        Of the weights.
    """
    base = model.model if isinstance(model, Annotator) else model
    front = {"library_name": "gest", "license": licence, "tags": ["spatial-transcriptomics", "gest"]}
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
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
    size = sum(p.numel() for p in model.parameters())
    about = (
        f"A transformer over the cells of a window of tissue: {shape.layers} layers, {shape.heads} heads, width "
        f"{shape.width}, {size:,} parameters."
    )
    call = 'adata = gest.embed(adata, model)  # obsm["X_gest"]'
    if isinstance(model, Annotator):
        about += f" Fine-tuned to label cells by `{model.label}`: {', '.join(model.classes)}."
        call = f'adata = gest.annotate(adata, model)  # obs["gest_{model.label}"]'
    code = f'```python\nimport gest\n\nmodel = gest.load("FOLDER, URL or hf://OWNER/NAME")\n{call}\n```'
    return ["## Use", about, code]


def _data(base: GeST, data: str) -> list[str]:
    cells = base.metrics.get("training_cells")
    seen = base.metrics.get("target_cells_seen")
    told = f"{data.rstrip('.')}." if data else "Of what tissue, by what technology: whoever shared this did not say."
    counted = f"Trained on {cells:,} cells; {seen:,} predictions of one were learnt from." if cells and seen else ""
    return ["## Data", " ".join(filter(None, (told, counted)))]


def _genes(base: GeST) -> list[str]:
    words = base.vocabulary
    first = ", ".join(words.genes[:_SHOWN])
    more = f", and {len(words.genes) - _SHOWN} more (`genes` in vocabulary.npz)" if len(words.genes) > _SHOWN else ""
    takes = (
        f"raw counts, which are scaled to {words.normalisation['target_sum']:g} per cell and logged"
        if words.normalisation
        else "log-normalised values, not counts"
    )
    book = (
        f"A vocabulary of {len(words)} meta cells, each the mean of {words.sizes.min()} to {words.sizes.max()} cells."
    )
    return ["## Genes", f"{first}{more}.", f"The model takes {takes}. {book}"]


def _metrics(model: GeST | Annotator, base: GeST) -> list[str]:
    told: dict[str, Any] = dict(base.metrics)
    if isinstance(model, Annotator):
        told |= {f"annotator: {name}": value for name, value in model.metrics.items()}
    rows = [f"| {name} | {json.dumps(value)} |" for name, value in told.items()]
    table = "\n".join(["| metric | value |", "|---|---|", *rows])
    note = (
        "`loss` is that of training (Eq. 10), `validation_loss` that of sections held out, null where there were none; "
        "`marginal_loss` is what knowing the frequencies of the meta cells alone comes to: a model that has learnt "
        "where cells stand lies below it."
    )
    return ["## Metrics", table, note]


def _limits(base: GeST) -> list[str]:
    unit = "counts" if base.vocabulary.normalisation else "log-normalised values"
    return [
        "## Limits",
        "\n".join(
            [
                f"- It looks {base.config.window / 2:g} µm far, in x and in y; coordinates must be in µm.",
                f"- It takes {unit}, of at least half of its genes; a gene that is missing takes its mean.",
                "- It knows tissue like that it was trained on: other species, organs or technologies are a guess.",
                "- What it generates is an expectation, smoother than cells are, and no measurement.",
                "- A perturbation asks what stands around such a region, not what a change would cause.",
            ]
        ),
    ]
