"""`gest simulate`: simulate sections of tissue."""

from pathlib import Path
from typing import Annotated

from typer import Option

from gest.cli.app import app, format_examples, log
from gest.cli.options import check_keys, check_writable, read_config, write_whole
from gest.errors import UserError


@app.command(
    epilog=format_examples(
        "gest simulate --section s1 --section s2 --section s3 --out brain.h5ad",
        "    three consecutive sections with 60 genes and 1,800 cells each; obs has region and cell_type",
    )
)
def simulate(
    section: Annotated[list[str], Option(help="Name of a section; repeat for more sections.")],
    out: Annotated[Path, Option(help="File to write (.h5ad), with all sections.")],
    dataset_config: Annotated[
        Path | None,
        Option(help="YAML or JSON: the simulator's keys in `simulation`, each section's in its `sections`."),
    ] = None,
) -> None:
    """Simulate sections of layered tissue for trying out GeST."""
    import anndata as ad

    from gest.data.sources.simulate import simulate as simulate_section

    check_writable(out, ".h5ad")
    common = {"donor": "donor_1"} | read_config(dataset_config).get("simulation", {})
    consecutive = {name: {"slice": number / len(section)} for number, name in enumerate(section)}
    by_section = common.pop("sections", consecutive)
    simulated = []
    for name in section:
        if name not in by_section:
            names = ", ".join(by_section) or "none"
            raise UserError(f"{dataset_config}: unknown section '{name}' ('simulation.sections' has {names}).")
        settings = common | by_section[name]
        check_keys(settings, simulate_section, dataset_config)
        simulated.append(simulate_section(name, **settings))
    combined = ad.concat(simulated, merge="same", uns_merge="same")
    write_whole(out, combined.write_h5ad)
    log.info("%s: %d cells, %d genes", out, *combined.shape)
