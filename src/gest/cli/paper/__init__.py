"""The steps of the workflow: `gest paper VERB`, in modules named after the rules that call them."""

from gest.cli.paper import (  # noqa: F401 (each module registers its steps)
    annotation,
    clustering,
    generation,
    perturbation,
    score_labels,
    sections,
    upstream,
)
