"""Names, order and colours of all methods, the same in every table and figure."""

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
