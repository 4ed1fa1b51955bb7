"""Step that scores the labels of clustering and of annotation."""

from pathlib import Path
from typing import Annotated

from typer import Option

from gest.cli.app import steps
from gest.cli.options import Out, Section, write_whole


@steps.command()
def score_labels(
    section: Section,
    labels: Annotated[list[Path], Option(help="Labels (.csv) by one method; repeat for more methods.")],
    task: Annotated[str, Option(help="clustering or annotation.")],
    run: Annotated[str, Option(help="Name of the run.")],
    dataset: Annotated[str, Option(help="Name of the dataset.")],
    out: Out,
) -> None:
    """Score the labels of a section by one or more methods."""
    from gest.paper.scores.labels import score_labellings
    from gest.paper.scores.runs import read_labellings
    from gest.paper.scores.table import write_scores
    from gest.sections import read_section

    adata = read_section(section)
    by_method = {path.name.removesuffix(".csv"): read_labellings(path, adata.obs_names)[0] for path in labels}
    levels = list(dict.fromkeys(labelling.level for labellings in by_method.values() for labelling in labellings))
    scores = score_labellings(adata, by_method, task=task, run=run, dataset=dataset, levels=levels)
    write_whole(out, lambda path: write_scores(scores, path))
