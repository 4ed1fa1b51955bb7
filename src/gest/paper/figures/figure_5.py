"""Figure 5: similarity of a region's surroundings to the peri-infarct area, and genes that rise or fall in them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy.stats import wilcoxon

from gest.errors import UserError
from gest.paper.reported import name_run
from gest.pl.maps import (
    COLOUR_MAP,
    SEEN,
    SKY_BLUE,
    UNIT,
    VERMILION,
    colour_limits,
    dots,
    frame,
    handle,
    scale_bar,
    spacing,
    style_colour_bar,
)

PANELS = ("control", "perturbed")
_SIDE = 2.0  # width of a map, inches


def check_genes(cells: AnnData, shown: Mapping[str, Sequence[str]]) -> None:
    """Check that the genes to draw are in the panel and unchanged in the region.

    Raises
    ------
    UserError
        A gene is missing or was changed; the message names the first.
    """
    for gene in [gene for genes in shown.values() for gene in genes]:
        if gene not in cells.var_names:
            raise UserError(
                f"perturbation.shown: gene '{gene}' is not in the model's panel (choose others, e.g. "
                f"{', '.join(cells.var_names[:3])})."
            )
        if changed := cells.var.loc[gene, "changed"]:
            raise UserError(
                f"perturbation.shown: gene '{gene}' was {changed} in the region (choose genes that the experiment left "
                "unchanged, to show their response)."
            )


def draw_figure_5(
    cells: AnnData,
    replicates: pd.DataFrame,
    calls: pd.Series,
    *,
    shown: Mapping[str, Sequence[str]],
    around: str,
    run: str,
) -> Figure:
    """Draw panels b to d of Figure 5.

    Parameters
    ----------
    cells
        See `gest.paper.ischemia.experiment.Ischemia.shown`: the first placement and seed.
    replicates
        All replicates of the experiment, with pearson_control and pearson_perturbed.
    calls
        Final call of each gene, see `gest.paper.ischemia.calls.vote`.
    shown
        Genes to draw: `high` and `low`, at least one of each.
    around
        Name of the region whose mean is the reference profile.
    run
        Name of the run; shown in the title unless it is the paper's.

    Returns
    -------
    Figure
        Neither shown nor saved.

    Raises
    ------
    UserError
        A gene is not in the panel, or was changed in the region.
    """
    check_genes(cells, shown)
    rows = max(len(shown["high"]), len(shown["low"]))
    xy = cells.obsm["spatial"]
    width, height = np.ptp(xy, axis=0)
    widths, figure_height = (2.6, 2 * _SIDE + 0.7, 2 * _SIDE + 0.7), max(3.2, _SIDE * rows * height / width + 0.9)
    figure = Figure(figsize=(sum(widths), figure_height), layout="constrained")
    parts = figure.subfigures(1, 3, width_ratios=widths)
    _draw_correlations(parts[0].subplots(), cells, replicates, around)
    for letter, part, kind in zip("cd", parts[1:], ("high", "low"), strict=True):
        _draw_maps(part, cells, shown[kind], calls, rows)
        part.suptitle(f"$\\bf{{{letter}}}$  known to be {kind}", x=0.02, ha="left", fontsize=10)
    parts[1].legend(
        handles=[handle(SEEN, f"region of interest ({len(cells.uns['roi']):,} cells)")],
        loc="outside lower left",
        frameon=False,
        fontsize=7,
    )
    figure.suptitle(f"Around the region of interest of {cells.uns['section']}{name_run(run)}", fontsize=10)
    return figure


def correlation_test(cells: AnnData) -> float:
    """Test the perturbed against the control correlations; return the p value.

    The test is the two-sided signed-rank test, paired by cell.
    """
    difference = (cells.obs["pearson_perturbed"] - cells.obs["pearson_control"]).to_numpy()
    return float(wilcoxon(difference).pvalue) if difference.any() else 1.0


def _draw_correlations(ax: Axes, cells: AnnData, replicates: pd.DataFrame, around: str) -> None:
    """Draw panel b: a box each for control and perturbed cells, and the test.

    It also states in how many replicates the mean is higher in the perturbed cells.
    """
    values = [cells.obs[f"pearson_{name}"] for name in PANELS]
    boxes = ax.boxplot(
        values, widths=0.6, patch_artist=True, medianprops={"color": "black"}, flierprops={"markersize": 2}
    )
    for box, colour in zip(boxes["boxes"], (SKY_BLUE, VERMILION), strict=True):
        box.set_facecolor(colour)
    ax.set_xticks([1, 2], PANELS)
    ax.set_ylabel(f"Pearson correlation with mean {around}")
    p = correlation_test(cells)
    higher = int((replicates["pearson_perturbed"] > replicates["pearson_control"]).sum())
    p_text = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    ax.set_xlabel(
        f"{cells.n_obs:,} cells, {p_text}\n(paired Wilcoxon; cells of one\nregion are not independent)\n"
        f"mean is higher in {higher} of\n{len(replicates)} replicates",
        fontsize=7,
    )
    ax.set_title("b", loc="left", fontweight="bold")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_maps(part: SubFigure, cells: AnnData, genes: Sequence[str], calls: pd.Series, rows: int) -> None:
    """Draw panel c or d: per gene, control and perturbed with one colour scale."""
    axes = part.subplots(rows, 3, squeeze=False, width_ratios=[1, 1, 0.06])
    xy, roi = cells.obsm["spatial"], cells.uns["roi"]
    pitch = spacing(xy)
    for ax in axes[len(genes) :].ravel():
        ax.set_axis_off()
    for row, gene in zip(axes, genes, strict=False):
        values = {name: np.asarray(cells[:, gene].layers[name]).ravel() for name in PANELS}
        limits = colour_limits(np.concatenate(list(values.values())))
        for ax, name in zip(row, PANELS, strict=False):
            circles = dots(ax, xy, pitch, array=values[name], cmap=COLOUR_MAP, clim=limits)
            dots(ax, roi, pitch, facecolors=SEEN)
            frame(ax, np.concatenate([xy, roi]), pitch)
            if row is axes[0]:
                ax.set_title(name, fontsize=8)
        row[0].set_ylabel(gene, fontsize=9, style="italic")
        change = cells.var.loc[gene, "log2_fold_change"]
        row[1].set_xlabel(f"call: {calls[gene]}; log2 fold change here {change:+.2f}".replace("-", "−"), fontsize=7)
        style_colour_bar(part.colorbar(circles, cax=row[2]), UNIT, label_size=6, tick_size=6)
    scale_bar(axes[len(genes) - 1, 0])
