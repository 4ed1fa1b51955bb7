"""Names, order and colours of all methods, the same in every table and figure."""

from collections.abc import Iterable

import pandas as pd

from gest.baselines import registry

# By method and variant, in the order of tables and figures. Figure A.1 alone draws the model without quantisation.
NAMES = registry.labels("generation") | {("no_quantisation", "continuous"): "GeST, no quantisation"}
ANNOTATION_NAMES = registry.labels("annotation")
# By method, for the variants of GeST are sizes of its window.
CLUSTERING_NAMES = {method: label for (method, _), label in registry.labels("clustering").items()}

PAPER = tuple(registry.labels("generation", kind="paper").values())
CONTROLS = tuple(registry.labels("generation", kind="control").values())
(BOUND,) = registry.labels("generation", kind="bound").values()

# Okabe and Ito's colours, which colour-blind people tell apart; what is no method of the paper is grey.
COLOURS = dict.fromkeys(NAMES.values(), "0.45") | {
    "GeST": "#56B4E9",
    "GeST-W": "#0072B2",
    "GP": "#E69F00",
    "MLP": "#009E73",
    "GeST-W, re-estimated": "#CC79A7",
    "GeST, continued": "#D55E00",
    "GeST-W, continued": "#D55E00",
    "GeST-W, continued, re-estimated": "#D55E00",
    "GeST, no quantisation": "#F0E442",
    "mean of seen": "0.78",
    "nearest seen": "0.78",
    BOUND: "white",
}


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Add the column `name`, the method's and variant's, as categories in order; rows keep their order."""
    names = [NAMES[pair] for pair in zip(table["method"], table["variant"], strict=True)]
    return table.assign(name=pd.Categorical(names, categories=list(NAMES.values()), ordered=True))


def clustering_names(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the names, in order, of methods and variants; of GeST's windows the largest one's alone."""
    largest: dict[str, str] = {}
    for method, variant in pairs:
        largest[method] = max(largest.get(method, variant), variant, key=_window)
    return {(method, largest[method]): name for method, name in CLUSTERING_NAMES.items() if method in largest}


def _window(variant: str) -> float:
    """Window of a variant, µm; 0 for methods without."""
    return 0.0 if variant == "default" else float(variant)
