"""`gest vocabulary`: build the vocabulary of meta cells."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import app, format_examples, log
from gest.cli.options import ConfigFile, DryRun, Seed, check_writable, read_config


@app.command(
    epilog=format_examples(
        "gest vocabulary sections/s1.h5ad sections/s2.h5ad --out vocabulary.npz",
        "gest vocabulary sections/s1.h5ad --config config/own_data.yaml --out vocabulary.npz",
        "    reads the key `vocabulary`: n_metacells, n_components, hierarchy, n_genes, markers",
    )
)
def vocabulary(
    sections: Annotated[list[Path], Argument(help="Training sections (.h5ad) from `gest prepare`.")],
    out: Annotated[Path, Option(help="Vocabulary to write (.npz).")],
    config: ConfigFile = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Build the vocabulary of meta cells (Algorithm 1)."""
    from gest.tasks.dry_run import plan_vocabulary
    from gest.training.vocabulary import fit_sections

    settings = read_config(config).get("vocabulary", {})
    check_writable(out, ".npz")
    if dry_run:
        log.info("%s would hold %s", out, plan_vocabulary(sections, settings))
        return
    fitted = fit_sections(sections, settings, seed=seed)
    fitted.save(out)
    log.info("%s: %d meta cells of %d to %d cells, %d genes",
             out, len(fitted), fitted.sizes.min(), fitted.sizes.max(), len(fitted.genes))  # fmt: skip
