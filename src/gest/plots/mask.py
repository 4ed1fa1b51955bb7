"""The spatial attention mask (Figure 2c)."""

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

FORBIDDEN, ALLOWED = "#E8E8E8", "#0072B2"


def draw_mask(mask: np.ndarray, *, title: str = "") -> Figure:
    """Draw which token may attend to which.

    Parameters
    ----------
    mask
        (2L, 2L) booleans, true where the row's token may attend to the column's: L cell tokens, then L position tokens.

    Returns
    -------
    Figure
        Not shown and not saved.
    """
    L = len(mask) // 2
    cells = [f"$gs(x_{{{i}}})$" for i in range(1, L + 1)]
    places = [f"$s(x_{{{i}}})$" for i in range(2, L + 2)]
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    ax = figure.subplots()
    ax.pcolormesh(mask, cmap=ListedColormap([FORBIDDEN, ALLOWED]), vmin=0, vmax=1, edgecolors="white", linewidth=1)
    middles = np.arange(2 * L) + 0.5
    ax.set_xticks(middles, cells + places, rotation=90, fontsize=9)
    ax.set_yticks(middles, cells + places, fontsize=9)
    ax.set(xlim=(0, 2 * L), ylim=(2 * L, 0), aspect="equal")
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.xaxis.set_label_position("top")
    ax.spines[:].set_visible(False)
    ax.axhline(L, color="black", linewidth=1)
    ax.axvline(L, color="black", linewidth=1)
    names = "cell tokens" + " " * 22 + "position tokens"
    ax.set_xlabel(f"attended to (keys)\n{names}", fontsize=9)
    ax.set_ylabel("attending (queries)\nposition tokens" + " " * 22 + "cell tokens", fontsize=9)
    patches = [Patch(color=ALLOWED, label="may attend"), Patch(color=FORBIDDEN, label="may not attend")]
    ax.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure
