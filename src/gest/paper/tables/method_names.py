"""Labels, order and colours of methods in tables and figures; labels and order come from the registry."""

from collections.abc import Iterable

import pandas as pd

from gest.baselines import registry

# Keyed by method and variant, in the order of tables and figures. Only Figure A.1 draws the model without quantisation.
NAMES = registry.labels("generation") | {("no_quantisation", "continuous"): "GeST, no quantisation"}
ANNOTATION_NAMES = registry.labels("annotation")
# Keyed by method alone, since the variants of GeST are window sizes.
CLUSTERING_NAMES = {method: label for (method, _), label in registry.labels("clustering").items()}

PAPER = tuple(registry.labels("generation", kind="paper").values())
CONTROLS = tuple(registry.labels("generation", kind="control").values())
(BOUND,) = registry.labels("generation", kind="bound").values()

# Okabe and Ito's palette, safe for colour-blind readers; controls and methods without a colour are grey.
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
    **dict.fromkeys(CONTROLS, "0.78"),
    BOUND: "white",
}


def add_names(table: pd.DataFrame) -> pd.DataFrame:
    """Add the column `name`: the label of each row's method and variant.

    Its categories are in the order of tables.
    """
    names = [NAMES[pair] for pair in zip(table["method"], table["variant"], strict=True)]
    return table.assign(name=pd.Categorical(names, categories=list(NAMES.values()), ordered=True))


def clustering_names(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the labels of methods for clustering, in the order of tables.

    If a method has several windows, only the largest is listed; methods without a label are left out.
    """
    largest: dict[str, str] = {}
    for method, variant in pairs:
        largest[method] = max(largest.get(method, variant), variant, key=_window)
    return {(method, largest[method]): name for method, name in CLUSTERING_NAMES.items() if method in largest}


def _window(variant: str) -> float:
    """Return the window size of a variant, µm; 0 for methods without a window."""
    return 0.0 if variant == "default" else float(variant)
