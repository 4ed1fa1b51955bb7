"""The spatial attention mask (Figure 2c)."""

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

FORBIDDEN, ALLOWED = "#E8E8E8", "#0072B2"


def draw_mask(mask: np.ndarray, *, title: str = "") -> Figure:
    """Draw which tokens may attend to which.

    Parameters
    ----------
    mask
        (2L, 2L) booleans, true if the row's token may attend to the column's: L cell tokens, then L position tokens.

    Returns
    -------
    Figure
        Not shown and not saved.
    """
    L = len(mask) // 2
    cells = [f"$gs(x_{{{i}}})$" for i in range(1, L + 1)]
    positions = [f"$s(x_{{{i}}})$" for i in range(2, L + 2)]
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    ax = figure.subplots()
    ax.pcolormesh(mask, cmap=ListedColormap([FORBIDDEN, ALLOWED]), vmin=0, vmax=1, edgecolors="white", linewidth=1)
    middles = np.arange(2 * L) + 0.5
    ax.set_xticks(middles, cells + positions, rotation=90, fontsize=9)
    ax.set_yticks(middles, cells + positions, fontsize=9)
    ax.set(xlim=(0, 2 * L), ylim=(2 * L, 0), aspect="equal")
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)
    ax.axhline(L, color="black", linewidth=1)
    ax.axvline(L, color="black", linewidth=1)
    kinds = [L / 2, 3 * L / 2], ["cell tokens", "position tokens"]
    keys, queries = ax.secondary_xaxis(1.1), ax.secondary_yaxis(-0.1)
    keys.set_xticks(*kinds, fontsize=9)
    queries.set_yticks(*kinds, fontsize=9, rotation=90, va="center")
    keys.set_xlabel("attended to (keys)", fontsize=9)
    queries.set_ylabel("attending (queries)", fontsize=9)
    for axis in (keys, queries):
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    patches = [Patch(color=ALLOWED, label="may attend"), Patch(color=FORBIDDEN, label="may not attend")]
    ax.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure
