"""Steps of clustering: represent the cells of a section by any method, and cluster the representations."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

import gest
from gest.baselines import registry
from gest.cli.app import log, steps
from gest.cli.options import ConfigFile, Device, Out, Section, read_config, write_whole

Models = Annotated[list[Path], Option(help="Model, for methods of GeST; repeat for more models.")]
Method = Annotated[str, Option(help=f"Method: {', '.join(registry.names('clustering'))}.")]


@steps.command()
def represent(
    section: Section,
    method: Method,
    out: Out,
    n_seeds: Annotated[int, Option(min=1, help="Number of seeds, counted from 0.")] = 1,
    config: ConfigFile = None,
    model: Models = [],  # noqa: B006
    device: Device = "auto",
) -> None:
    """Represent the cells of a section by one method."""
    from gest.paper.methods import clustering
    from gest.paper.methods.representations import write_representations
    from gest.sections import read_section

    settings = read_config(config)
    adata, models = read_section(section), [gest.load(folder, expected=gest.GeST).to(device) for folder in model]
    windows = {"windows": [trained.config.window for trained in models[:1]]}
    representations = clustering.represent(
        adata,
        method,
        seeds=range(n_seeds),
        models=models,
        levels=list(settings.get("labels", {})),
        **windows | settings.get("clustering", {}),
    )
    write_whole(out, lambda path: write_representations(representations, adata, path))
    for run in representations:
        log.info("%s, %s, seed %d: %.1f s, %s", method, run.variant, run.seed, run.seconds, run.status)


@steps.command()
def group(
    representations: Annotated[Path, Argument(help="Representations (.h5ad) from `gest paper represent`.")],
    section: Annotated[Path, Option(help="Section (.h5ad) of the represented cells.")],
    method: Method,
    out: Annotated[Path, Option(help="Labels to write (.csv), and .runs.csv with time and status of every run.")],
    config: ConfigFile = None,
) -> None:
    """Cluster representations at every level of labels.

    The number of clusters at a level is the section's number of labels there.
    """
    from gest.paper.methods.clustering import cut_representations
    from gest.paper.methods.representations import read_representations
    from gest.paper.scores.runs import write_labellings
    from gest.sections import read_section

    settings = read_config(config)
    adata = read_section(section)
    labellings = cut_representations(
        read_representations(representations, adata, method),
        adata,
        levels=list(settings.get("labels", {})),
        algorithm=settings.get("clustering", {}).get("algorithm", "leiden"),
    )
    write_labellings(labellings, adata.obs_names, out)
