"""The table of generation shows its scores, and every method has a name and a colour."""

import numpy as np
import pandas as pd
from helpers import cells

from gest.baselines import registry
from gest.paper.methods.generation import VARIANTS
from gest.paper.reported import beside
from gest.paper.scores.generation import METRICS
from gest.paper.scores.table import COLUMNS, summarise
from gest.paper.tables.generation import generation_markdown
from gest.paper.tables.method_names import COLOURS, NAMES


def scores(values, **columns):
    """Return one method's scores in every metric, from values by (section, crop)."""
    rows = [
        dict.fromkeys(COLUMNS, "")
        | {"run": "r", "task": "generation", "dataset": "d", "method": "gp", "variant": "default", "gene_set": "all"}
        | {"section": section, "crop": crop, "metric": metric, "value": value, "n": 50, "seed": 0, "status": "ok"}
        | columns
        for (section, crop), value in values.items()
        for metric in METRICS
    ]
    return pd.DataFrame(rows)[list(COLUMNS)].assign(model_seed=None)


def test_table_shows_sd_over_sections():
    text = generation_markdown(summarise(scores({("a", "0"): 1.0, ("a", "1"): 2.0, ("b", "0"): 3.5})))
    # The means of the sections are 1.5 and 3.5.
    assert cells(text, "gp") == ["gp", "default", *["2.500 ± 1.414"] * 4, "2", "3", "1"]
    assert "sd over sections" in text


def test_table_of_one_section_shows_sd_over_crops():
    text = generation_markdown(summarise(scores({("a", "0"): 1.0, ("a", "1"): 2.0})))
    assert cells(text, "gp")[2] == "1.500 ± 0.707"
    assert "sd over crops" in text


def test_table_says_why_a_method_has_no_number():
    failed = scores({("a", "0"): np.nan}, method="mlp", status="out of memory")
    text = generation_markdown(summarise(pd.concat([scores({("a", "0"): 1.0}), failed])))
    assert cells(text, "mlp")[2] == "–"
    assert "out of memory" in text


def test_table_of_generation_shows_the_papers_value_in_its_run(generated, values):
    reported = values[values["item"].isin(["table_a1", "generation"])]
    for run, ends in (("paper", "[1.357]"), ("toy", "")):
        text = generation_markdown(beside(summarise(generated(run, dataset="liver_cancer")), reported))
        assert cells(text, "gp")[2].endswith(ends)
        assert ("[" in text) == (run == "paper")
        assert text.startswith(f"run {run}: liver_cancer")


def test_every_method_of_the_workflow_has_a_name_and_a_colour():
    pairs = {
        (method.name, variant)
        for method in registry.methods("generation")
        for variant in (VARIANTS if method.needs_model else ("default",))
    }
    assert pairs <= NAMES.keys()
    assert len(set(NAMES.values())) == len(NAMES)
    assert COLOURS.keys() == set(NAMES.values())
