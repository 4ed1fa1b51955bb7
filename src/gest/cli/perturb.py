"""`gest perturb`: change genes in a region and find the genes that respond around it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

import gest
from gest.cli.app import app, format_examples, log
from gest.cli.options import Device, DryRun, ModelFolder, OwnSection, Seed
from gest.errors import UserError, naming

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.figure import Figure

    from gest.roi import ROI
    from gest.tasks.perturbation.perturb import PerturbationResult
    from gest.tasks.perturbation.surroundings import Surroundings


@app.command(
    epilog=format_examples(
        "gest perturb mine.h5ad --model model --roi-circle 1850 3300 100 --activate Ermn --out perturbed",
        "    a circle of 100 µm around x = 1850 µm, y = 3300 µm; perturbed/deg.csv lists the genes that respond",
        "gest perturb mine.h5ad --model model --roi-label region=CA1 --activate Gfap --out perturbed --dry-run",
        "docs/perturbation.md says what to check before you believe a result.",
    )
)
def perturb(
    adata: OwnSection,
    model: ModelFolder,
    out: Annotated[Path, Option(help="Folder for tables (.csv, .json), map.png and perturbation.h5ad.")],
    # The region, by exactly one of these four options.
    roi_circle: Annotated[tuple[float, float, float] | None, Option(help="Region: X Y RADIUS, µm.")] = None,
    roi_polygon: Annotated[str | None, Option(help="Region: [[x, y], …] in µm, as JSON or a JSON file.")] = None,
    roi_label: Annotated[str | None, Option(help="Region: COLUMN=VALUE, a column of obs and its value.")] = None,
    roi_mask: Annotated[str | None, Option(help="Region: a boolean column of obs.")] = None,
    # The perturbation.
    activate: Annotated[list[str], Option(help="Gene to raise; repeat for more genes.")] = [],  # noqa: B006
    inhibit: Annotated[list[str], Option(help="Gene to lower; repeat for more genes.")] = [],  # noqa: B006
    sigma: Annotated[float | None, Option(help="Width of the kernel, µm; default: half the region's diameter.")] = None,
    context: Annotated[
        str, Option(help="What the model sees: roi, or tissue (all cells further out as well).")
    ] = "roi",
    # The output.
    q: Annotated[float, Option(help="Largest false-discovery rate of a call.")] = 0.05,
    min_lfc: Annotated[float, Option(help="Smallest |log2 fold change| of a call.")] = 0.1,
    show: Annotated[list[str], Option(help="Gene on the map, repeatable; default: the four strongest.")] = [],  # noqa: B006
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Change genes in a region and list those that respond nearby."""
    from gest.data.sources.open_file import open_file
    from gest.tasks.perturbation.perturb import compare, resolve_genes
    from gest.tasks.perturbation.surroundings import Surroundings
    from gest.utils.files import replaceable

    roi = _make_region(circle=roi_circle, polygon=roi_polygon, label=roi_label, mask=roi_mask)
    replaceable(out, "summary.json")  # fail before the work
    section, trained = open_file(adata), gest.load(model, expected=gest.GeST).to(device)
    with naming(adata):
        around = Surroundings(section, trained, roi=roi, context=context, seed=seed)
    shown = [around.find_genes([gene])[0] for gene in show]
    if dry_run:
        resolve_genes(around, activate, inhibit, sigma)
        log.info("%s: would change %d cells of %s and generate %d around them, a dozen times over, on %s",
                 out, len(around.roi), roi, len(around.cells), device)  # fmt: skip
        return
    result = compare(around, activate=activate, inhibit=inhibit, sigma=sigma, q=q, min_lfc=min_lfc)
    _write(out, section, around, result, figure=_draw(around, result, shown, title=f"{adata.stem}: {roi}"))
    summary = result.summary
    log.info("%s: %d cells changed, %d generated around them; %d genes High, %d Low; %.0f %% of the meta cells changed",
             out, summary["n_roi"], summary["n_surroundings"], summary["n_high"], summary["n_low"],
             100 * summary["metacells_changed"])  # fmt: skip


def _make_region(
    *, circle: tuple[float, float, float] | None, polygon: str | None, label: str | None, mask: str | None
) -> "ROI":
    """Make the region from the one option that was given."""
    from gest.roi import Circle, Label, Mask, Polygon

    options = (circle, polygon, label, mask)
    if sum(option is not None for option in options) != 1:
        raise UserError("perturb: give exactly one of --roi-circle, --roi-polygon, --roi-label and --roi-mask.")
    if circle is not None:
        return Circle(*circle)
    if mask is not None:
        return Mask(mask)
    if label is not None:
        column, equals, value = label.partition("=")
        if not equals:
            raise UserError(f"--roi-label: '{label}' is not of the form COLUMN=VALUE, such as region=cortex.")
        return Label(column, value)
    try:
        text = polygon if polygon.lstrip().startswith("[") else Path(polygon).read_text()
        return Polygon(json.loads(text))
    except (OSError, ValueError) as error:
        raise UserError(
            f"--roi-polygon: cannot be read as JSON ({error}); give [[x, y], …] in µm, or a file that holds it."
        ) from error


def _draw(around: "Surroundings", result: "PerturbationResult", shown: list[int], *, title: str) -> "Figure":
    """Draw maps of the genes in these columns; without any, of the strongest genes."""
    from gest.pl.perturbation import draw_perturbation, strongest

    if not shown:
        shown = [around.find_genes([gene])[0] for gene in strongest(result.deg)]
    calls = result.deg.loc[shown, ["call", "log2_fold_change"]].itertuples(index=False)
    return draw_perturbation(
        around.xy,
        result.roi,
        result.surroundings,
        result.control[:, shown],
        result.perturbed[:, shown],
        result.genes[shown],
        notes=[f"{call}, log2 fold change {change:.2f}" for call, change in calls],
        title=title,
    )


def _write(
    out: Path, section: "AnnData", around: "Surroundings", result: "PerturbationResult", *, figure: "Figure"
) -> None:
    """Write a perturbation's result, its controls and its map into a folder."""
    import anndata as ad

    from gest.pl.save import save
    from gest.tasks.perturbation.controls import controls, sensitivity
    from gest.utils.files import whole_folder

    sigma = result.summary["sigma"]
    tables = {
        "deg": result.deg,
        "controls": controls(around, result, seed=around.seed),
        "sensitivity": sensitivity(around, result, sigmas=[sigma * factor for factor in (0.5, 1, 2)]),
    }
    cells = ad.AnnData(
        obs=section.obs.iloc[result.surroundings],
        var=result.deg.set_index("gene"),
        obsm={"spatial": around.xy[result.surroundings]},
        layers={"control": result.control, "perturbed": result.perturbed},
        uns={"gest": result.summary},
    )
    summary = {name: None if value != value else value for name, value in result.summary.items()}  # JSON has no NaN
    with whole_folder(out, "summary.json") as folder:
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        cells.write_h5ad(folder / "perturbation.h5ad")
        save(figure, folder / "map.png")
