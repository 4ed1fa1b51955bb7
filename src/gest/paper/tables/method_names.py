"""Names, order and colours of all methods, the same in every table and figure."""

from collections.abc import Iterable

import pandas as pd

# Method and variant, in the order of tables and figures: the paper's four first.
NAMES = {
    ("gest", "picking"): "GeST",
    ("gest", "weighted"): "GeST-W",
    ("gp", "default"): "GP",
    ("mlp", "default"): "MLP",
    ("gest", "codebook"): "GeST-W, re-estimated",
    ("gest_continued", "picking"): "GeST, continued",
    ("gest_continued", "weighted"): "GeST-W, continued",
    ("gest_continued", "codebook"): "GeST-W, continued, re-estimated",
    ("no_quantisation", "continuous"): "GeST, no quantisation",
    ("mean_of_seen", "default"): "mean of seen",
    ("nearest_seen", "default"): "nearest seen",
    ("true_metacells", "default"): "true meta cells",
}
# Of clustering, by method (GeST's variants are windows): the paper's seven of Table 1 in its order, then controls.
CLUSTERING_NAMES = {
    "gest": "GeST zero-shot",
    "graphst": "GraphST",
    "nichecompass": "NicheCompass",
    "spagcn": "SpaGCN",
    "stagate": "STAGATE",
    "raw": "Raw",
    "gest_continued": "GeST-FT (transductive)",
    "coordinates": "coordinates alone",
    "shuffled": "shuffled labels",
}
# Of annotation: the paper's four of Table 2 in its order, then the control.
ANNOTATION_NAMES = {
    ("gest", "mean"): "GeST mean",
    ("gest", "max"): "GeST max",
    ("scanvi", "default"): "scANVI",
    ("celltypist", "default"): "CellTypist",
    ("majority", "default"): "majority class",
}
PAPER = ("GeST", "GeST-W", "GP", "MLP")
CONTROLS = ("mean of seen", "nearest seen")
BOUND = "true meta cells"

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
