"""Controls of a perturbation that can fail, and how its result depends on σ (decision 28)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gest.tasks.perturbation.differential import NOT_SIGNIFICANT, differential
from gest.tasks.perturbation.perturb import PerturbationResult, change, compare
from gest.tasks.perturbation.surroundings import Surroundings

COLUMNS = (
    *("control", "repeat", "n_cells", "metacells_changed", "max_difference", "n_called"),
    *("agreement", "chance", "status"),
)


def sensitivity(around: Surroundings, result: PerturbationResult, *, sigmas: Sequence[float]) -> pd.DataFrame:
    """Repeat a perturbation over values of σ, µm.

    Parameters
    ----------
    result
        Made by `gest.tasks.perturbation.perturb.compare` from `around`; the σ that it has itself is not run again.

    Returns
    -------
    The tables of genes (`PerturbationResult.deg`) one below the other, behind `sigma`, `metacells_changed` and
    `activated_fell`.
    """
    tables = []
    for sigma in sigmas:
        made = result if sigma == result.summary["sigma"] else _again(around, result, sigma=sigma)
        about = {name: made.summary[name] for name in ("sigma", "metacells_changed", "activated_fell")}
        tables.append(pd.DataFrame(about, index=made.deg.index).join(made.deg))
    return pd.concat(tables, ignore_index=True)


def controls(around: Surroundings, result: PerturbationResult, *, n_shuffles: int = 5, seed: int = 0) -> pd.DataFrame:
    """Repeat a perturbation where nothing, or something else, is to be expected of it.

    - ``nothing changed``: the region as it is, generated again. The difference is exactly zero.
    - ``distant``: the same genes are changed in as many cells that no window around the surroundings holds. The
      difference is exactly zero; it says something only if `metacells_changed` is above 0.
    - ``shuffled names``: as many genes of other names are changed in the region. `agreement` is the share of genes,
      leaving out those changed in either, whose call is the one of `result`; `chance` is what independent calls of the
      same frequencies would give. Far above chance, the response is to any change at all, not to these genes.

    Parameters
    ----------
    result
        Made by `gest.tasks.perturbation.perturb.compare` from `around`.
    n_shuffles
        Repeats of the last one.
    seed
        Of the shuffles.

    Returns
    -------
    `COLUMNS`, a row per control and repeat: `n_cells` that were perturbed, `max_difference` of any cell and gene,
    `n_called` genes High or Low; `status` says why a control could not be run.
    """
    changed = result.deg["changed"]
    activated, inhibited = _columns(result)
    nothing = _again(around, result, activate=(), inhibit=())
    rows = [_row("nothing changed", nothing.deg, nothing.control, nothing.perturbed, nothing.summary)]

    far = _distant(around)
    if len(far):
        profiles = around.known[far].toarray()
        other = change(
            profiles,
            around.xy[far],
            activated=activated,
            inhibited=inhibited,
            sigma=result.summary["sigma"],
            maximum=result.summary["maximum"],
        )
        before, after = around.generate(far, profiles), around.generate(far, other)
        tokens = (around.model.vocabulary.tokenize(x) for x in (profiles, other))
        about = {"n_roi": len(far), "metacells_changed": float(np.not_equal(*tokens).mean())}
        table = differential(before, after, around.genes, q=result.summary["q"], min_lfc=result.summary["min_lfc"])
        rows.append(_row("distant", table, before, after, about))
    else:
        rows.append({"control": "distant", "status": "the section is too small: every cell is within reach"})

    rng = np.random.default_rng(seed)
    for repeat in range(n_shuffles):
        names = around.genes[rng.permutation(len(around.genes))]
        other = _again(around, result, activate=names[activated], inhibit=names[inhibited])
        row = _row("shuffled names", other.deg, other.control, other.perturbed, other.summary)
        neither = (changed == "") & (other.deg["changed"] == "")
        mine, theirs = result.deg.loc[neither, "call"], other.deg.loc[neither, "call"]
        frequencies = mine.value_counts(normalize=True), theirs.value_counts(normalize=True)
        chance = float(frequencies[0].mul(frequencies[1], fill_value=0).sum())
        rows.append(row | {"repeat": repeat, "agreement": float((mine == theirs).mean()), "chance": chance})
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    return table.fillna({"repeat": 0, "status": "ok"}).astype({"repeat": int})


def _columns(result: PerturbationResult) -> list[np.ndarray]:
    """Find the genes that were activated, and those that were inhibited."""
    return [np.flatnonzero(result.deg["changed"] == how) for how in ("activated", "inhibited")]


def _again(around: Surroundings, result: PerturbationResult, **other: Any) -> PerturbationResult:
    """Repeat a perturbation with other settings of `compare`."""
    activate, inhibit = (result.genes[columns] for columns in _columns(result))
    settings = {"activate": activate, "inhibit": inhibit} | {k: result.summary[k] for k in ("sigma", "q", "min_lfc")}
    return compare(around, **settings | other)


def _distant(around: Surroundings) -> np.ndarray:
    """Find as many cells as the region has that no window of the generation holds, near to one another: indices."""
    # They are seen, so that none may be a reference (in the window of a generated cell) or in the window of one.
    near = around.in_windows_of(around.cells, widened=1.001)  # a little more: rounding decides on the border
    references = np.flatnonzero(near & around.context_cells)
    out = np.flatnonzero(around.filled & ~near & ~around.in_windows_of(references, widened=1.001))
    if not len(out):
        return out
    centre = around.xy[around.roi].mean(0)
    farthest = out[np.linalg.norm(around.xy[out] - centre, axis=1).argmax()]
    order = np.argsort(np.linalg.norm(around.xy[out] - around.xy[farthest], axis=1), kind="stable")
    return np.sort(out[order[: len(around.roi)]])


def _row(
    control: str, table: pd.DataFrame, before: np.ndarray, after: np.ndarray, about: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "control": control,
        "n_cells": about["n_roi"],
        "metacells_changed": about["metacells_changed"],
        "max_difference": float(np.abs(after - before).max()),
        "n_called": int((table["call"] != NOT_SIGNIFICANT).sum()),
    }
