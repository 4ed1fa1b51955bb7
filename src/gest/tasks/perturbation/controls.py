"""Checks of a perturbation: controls, and the dependence on σ (decision 28)."""

from collections.abc import Sequence
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


def sensitivity(surroundings: Surroundings, result: PerturbationResult, *, sigmas: Sequence[float]) -> pd.DataFrame:
    """Repeat a perturbation over values of σ, µm.

    Parameters
    ----------
    result
        Result of `gest.tasks.perturbation.perturb.compare` on `surroundings`; it is reused where σ is the same.

    Returns
    -------
    The tables of genes (`PerturbationResult.deg`) for all σ, one below the other, with `sigma`, `metacells_changed` and
    `activated_fell` as the first columns.
    """
    tables = []
    for sigma in sigmas:
        repeat = result if sigma == result.summary["sigma"] else _repeat(surroundings, result, sigma=sigma)
        settings = {name: repeat.summary[name] for name in ("sigma", "metacells_changed", "activated_fell")}
        tables.append(pd.DataFrame(settings, index=repeat.deg.index).join(repeat.deg))
    return pd.concat(tables, ignore_index=True)


def controls(
    surroundings: Surroundings, result: PerturbationResult, *, n_shuffles: int = 5, seed: int = 0
) -> pd.DataFrame:
    """Run controls of a perturbation: no change, distant cells, random genes.

    - ``nothing changed``: the surroundings are generated again from the unchanged region. The difference must be
      exactly zero.
    - ``distant``: the same genes are changed in cells that lie in no window of the generation, at most as many as the
      region has. The difference must be exactly zero; this is evidence only if `metacells_changed` is above 0.
    - ``shuffled names``: as many genes, drawn at random, are changed in the region. `agreement` is the share of genes
      with the same call as in `result`, without the genes changed in either run; `chance` is the share expected if the
      calls were independent with the same frequencies. If `agreement` is far above `chance`, the surroundings respond
      to any change, not to these genes in particular.

    Parameters
    ----------
    result
        Result of `gest.tasks.perturbation.perturb.compare` on `surroundings`.
    n_shuffles
        Repeats of ``shuffled names``.
    seed
        Seed of the shuffles.

    Returns
    -------
    A row per control and repeat, with `COLUMNS`: `n_cells`, the number of perturbed cells; `max_difference`, the
    largest absolute difference in any cell and gene; `n_called`, the number of genes called High or Low; `status`, "ok"
    or why the control could not be run; and the columns explained above.
    """
    nothing = _repeat(surroundings, result, activate=(), inhibit=())
    rows = [{"control": "nothing changed"} | _summarise(nothing), _change_distant_cells(surroundings, result)]
    rng = np.random.default_rng(seed)
    for repeat in range(n_shuffles):
        shuffled = surroundings.genes[rng.permutation(len(surroundings.genes))]
        rows.append({"repeat": repeat} | _change_other_genes(surroundings, result, shuffled))
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    return table.fillna({"repeat": 0, "status": "ok"}).astype({"repeat": int})


def _change_distant_cells(surroundings: Surroundings, result: PerturbationResult) -> dict[str, Any]:
    """Run the control ``distant``."""
    cells = _find_distant_cells(surroundings)
    if not len(cells):
        return {"control": "distant", "status": "the section is too small: every cell is within reach"}
    activated, inhibited = _find_changed_genes(result)
    sigma, maximum = result.summary["sigma"], result.summary["maximum"]
    profiles, xy = surroundings.expression[cells].toarray(), surroundings.xy[cells]
    changed = change(profiles, xy, activated=activated, inhibited=inhibited, sigma=sigma, maximum=maximum)
    before, after = surroundings.generate(cells, profiles), surroundings.generate(cells, changed)
    vocabulary = surroundings.model.vocabulary
    metacells_changed = vocabulary.tokenize(profiles) != vocabulary.tokenize(changed)
    q, min_lfc = result.summary["q"], result.summary["min_lfc"]
    table = differential(before, after, surroundings.genes, q=q, min_lfc=min_lfc)
    return {
        "control": "distant",
        "n_cells": len(cells),
        "metacells_changed": float(metacells_changed.mean()),
        "max_difference": float(np.abs(after - before).max()),
        "n_called": int((table["call"] != NOT_SIGNIFICANT).sum()),
    }


def _change_other_genes(surroundings: Surroundings, result: PerturbationResult, shuffled: np.ndarray) -> dict[str, Any]:
    """Run the control ``shuffled names``: change gene `shuffled[i]` instead of gene i."""
    activated, inhibited = _find_changed_genes(result)
    other = _repeat(surroundings, result, activate=shuffled[activated], inhibit=shuffled[inhibited])
    unchanged = (result.deg["changed"] == "") & (other.deg["changed"] == "")
    calls, other_calls = result.deg.loc[unchanged, "call"], other.deg.loc[unchanged, "call"]
    frequencies, other_frequencies = (x.value_counts(normalize=True) for x in (calls, other_calls))
    chance = float(frequencies.mul(other_frequencies, fill_value=0).sum())
    agreement = float((calls == other_calls).mean())
    return {"control": "shuffled names"} | _summarise(other) | {"agreement": agreement, "chance": chance}


def _find_changed_genes(result: PerturbationResult) -> tuple[np.ndarray, np.ndarray]:
    """Find the columns of the activated and of the inhibited genes."""
    changed = result.deg["changed"]
    return np.flatnonzero(changed == "activated"), np.flatnonzero(changed == "inhibited")


def _repeat(surroundings: Surroundings, result: PerturbationResult, **changes: Any) -> PerturbationResult:
    """Repeat a perturbation with other settings of `compare`."""
    activated, inhibited = _find_changed_genes(result)
    settings = {
        "activate": result.genes[activated],
        "inhibit": result.genes[inhibited],
        "sigma": result.summary["sigma"],
        "q": result.summary["q"],
        "min_lfc": result.summary["min_lfc"],
    }
    return compare(surroundings, **settings | changes)


def _find_distant_cells(surroundings: Surroundings) -> np.ndarray:
    """Find the indices of cells that lie in no window of the generation.

    They are near one another, and at most as many as the region has.
    """
    # They will be seen, so none may be a reference (in the window of a generated cell) or lie in the window of one.
    # Windows are slightly wider, since rounding decides about cells on the border.
    near = surroundings.in_windows_of(surroundings.cells, widened=1.001)
    references = np.flatnonzero(near & surroundings.context_cells)
    near_references = surroundings.in_windows_of(references, widened=1.001)
    distant = np.flatnonzero(surroundings.has_counts & ~near & ~near_references)
    if not len(distant):
        return distant
    xy = surroundings.xy
    centre = xy[surroundings.roi].mean(0)
    farthest = distant[np.linalg.norm(xy[distant] - centre, axis=1).argmax()]
    order = np.argsort(np.linalg.norm(xy[distant] - xy[farthest], axis=1), kind="stable")
    return np.sort(distant[order[: len(surroundings.roi)]])


def _summarise(result: PerturbationResult) -> dict[str, Any]:
    """Return the columns of `controls` that describe one perturbation."""
    return {
        "n_cells": result.summary["n_roi"],
        "metacells_changed": result.summary["metacells_changed"],
        "max_difference": float(np.abs(result.perturbed - result.control).max()),
        "n_called": int((result.deg["call"] != NOT_SIGNIFICANT).sum()),
    }
