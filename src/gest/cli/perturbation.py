"""The verb that perturbs genes in a region of interest."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from gest.cli.app import Device, DryRun, ModelFolder, OwnSection, Seed, app, examples, log
from gest.errors import UserError, naming

if TYPE_CHECKING:
    from gest.roi import ROI


@app.command(
    epilog=examples(
        "gest perturb mine.h5ad --model model --roi-circle 1850 3300 100 --activate Ermn --out perturbed",
        "    a circle of 100 µm around x = 1850 µm, y = 3300 µm; perturbed/deg.csv says which genes answer around it",
        "gest perturb mine.h5ad --model model --roi-label region=CA1 --activate Gfap --out perturbed --dry-run",
        "docs/perturbation.md says what to look at before one believes it.",
    )
)
def perturb(
    adata: OwnSection,
    model: ModelFolder,
    out: Annotated[Path, Option(help="Folder for tables (.csv, .json), map.png and perturbation.h5ad.")],
    roi_circle: Annotated[tuple[float, float, float] | None, Option(help="ROI: X Y RADIUS, µm.")] = None,
    roi_polygon: Annotated[str | None, Option(help="ROI: [[x, y], …] in µm as JSON, or a file that holds it.")] = None,
    roi_label: Annotated[str | None, Option(help="ROI: COLUMN=VALUE, a column of obs and its value.")] = None,
    roi_mask: Annotated[str | None, Option(help="ROI: a boolean column of obs.")] = None,
    activate: Annotated[list[str], Option(help="Gene to raise; give the option once for each.")] = [],  # noqa: B006
    inhibit: Annotated[list[str], Option(help="Gene to lower; give the option once for each.")] = [],  # noqa: B006
    sigma: Annotated[float | None, Option(help="Of the kernel, µm; half the ROI's diameter if not given.")] = None,
    context: Annotated[str, Option(help="What is seen: roi, or tissue (all cells further out besides).")] = "roi",
    q: Annotated[float, Option(help="Largest false-discovery rate of a call.")] = 0.05,
    min_lfc: Annotated[float, Option(help="Smallest |log2 fold change| of a call.")] = 0.1,
    show: Annotated[list[str], Option(help="Gene for the map; the four strongest if not given.")] = [],  # noqa: B006
    device: Device = "auto",
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Change genes in a region of your own section, and see which genes answer around it."""
    import anndata as ad

    from gest.data.sources.open_file import open_file
    from gest.hub.load import load
    from gest.model import GeST
    from gest.pl.perturbation import draw_perturbation, strongest
    from gest.pl.save import save
    from gest.tasks.perturbation.controls import controls, sensitivity
    from gest.tasks.perturbation.perturb import compare, resolve_genes
    from gest.tasks.perturbation.surroundings import Surroundings
    from gest.utils.files import replaceable, whole_folder

    roi = _roi(roi_circle, roi_polygon, roi_label, roi_mask)
    replaceable(out, "summary.json")  # an occupied one is refused before the work
    section = open_file(adata)
    with naming(adata):
        around = Surroundings(section, load(model, expected=GeST).to(device), roi=roi, context=context, seed=seed)
    shown = [around.columns([gene])[0] for gene in show]
    if dry_run:
        resolve_genes(around, activate, inhibit, sigma)
        log.info("%s: would change %d cells of %s and generate %d around them, a dozen times over, on %s",
                 out, len(around.roi), roi, len(around.cells), device)  # fmt: skip
        return
    result = compare(around, activate=activate, inhibit=inhibit, sigma=sigma, q=q, min_lfc=min_lfc)
    checks = controls(around, result, seed=seed)
    over = sensitivity(around, result, sigmas=[result.summary["sigma"] * factor for factor in (0.5, 1, 2)])

    if not shown:
        shown = [around.columns([gene])[0] for gene in strongest(result.deg)]
    calls = result.deg.loc[shown, ["call", "log2_fold_change"]].itertuples(index=False)
    figure = draw_perturbation(
        around.xy,
        result.roi,
        result.surroundings,
        result.control[:, shown],
        result.perturbed[:, shown],
        result.genes[shown],
        notes=[f"{call}, log2 fold change {change:.2f}" for call, change in calls],
        title=f"{adata.stem}: {roi}",
    )
    cells = ad.AnnData(
        obs=section.obs.iloc[result.surroundings],
        var=result.deg.set_index("gene"),
        obsm={"spatial": around.xy[result.surroundings]},
        layers={"control": result.control, "perturbed": result.perturbed},
        uns={"gest": result.summary},
    )
    told = {name: None if value != value else value for name, value in result.summary.items()}  # JSON has no NaN
    with whole_folder(out, "summary.json") as folder:
        for name, table in (("deg", result.deg), ("controls", checks), ("sensitivity", over)):
            table.to_csv(folder / f"{name}.csv", index=False)
        (folder / "summary.json").write_text(json.dumps(told, indent=2) + "\n")
        cells.write_h5ad(folder / "perturbation.h5ad")
        save(figure, folder / "map.png")
    about = result.summary
    log.info("%s: %d cells changed, %d generated around them; %d genes High, %d Low; %.0f %% of the meta cells changed",
             out, about["n_roi"], about["n_surroundings"], about["n_high"], about["n_low"],
             100 * about["metacells_changed"])  # fmt: skip


def _roi(circle: tuple[float, float, float] | None, polygon: str | None, label: str | None, mask: str | None) -> "ROI":
    """Make the region of the one option that was given."""
    from gest.roi import Circle, Label, Mask, Polygon

    if sum(given is not None for given in (circle, polygon, label, mask)) != 1:
        raise UserError("perturb: give one of --roi-circle, --roi-polygon, --roi-label and --roi-mask.")
    if circle is not None:
        return Circle(*circle)
    if mask is not None:
        return Mask(mask)
    if label is not None:
        column, equals, value = label.partition("=")
        if not equals:
            raise UserError(f"perturb: --roi-label is '{label}', and must be COLUMN=VALUE, such as region=cortex.")
        return Label(column, value)
    try:
        return Polygon(json.loads(polygon if polygon.lstrip().startswith("[") else Path(polygon).read_text()))
    except (OSError, ValueError) as error:
        raise UserError(
            f"perturb: --roi-polygon is not JSON ({error}); give [[x, y], …] in µm, or a file of it."
        ) from error
