"""The ischaemia experiment: an infarct's genes changed in a region of healthy tissue, many times (Figure 5).

A replicate is a placement of the region and a seed of generation; genes are called over matched cells (decision 29).
Settings in the place of the usual ones, and controls, are variants of it: of every placement with the first seed the
values of σ and the other context, of the first placement the controls.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from gest.model import GeST
from gest.roi import Circle
from gest.tasks.perturbation.controls import controls
from gest.tasks.perturbation.differential import HIGH, LOW
from gest.tasks.perturbation.perturb import PerturbationResult, compare
from gest.tasks.perturbation.surroundings import CONTEXTS, Surroundings

log = logging.getLogger(__name__)

SHUFFLED = "shuffled_names"


def read_calls(paths: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Read the calls of several models, as `gest paper perturb-ischemia` writes them, one below the other."""
    tables = [pd.read_csv(path, dtype={"gene": str}).fillna({"changed": ""}) for path in paths]
    return pd.concat(tables, ignore_index=True)


def variant_of(context: str, factor: float) -> str:
    """Name what a replicate was made with: its context, and σ as a multiple of the region's radius."""
    return f"{context}/{factor:g}"


class Ischemia(NamedTuple):
    """What a model says of an infarct's surroundings."""

    calls: pd.DataFrame
    """A row per variant, placement, seed and gene: those and the columns of `gest.tasks.perturbation.perturb.PerturbationResult.deg`."""
    replicates: pd.DataFrame
    """A row per variant, placement and seed: those, the region's place (`x`, `y`, µm), what
    `gest.tasks.perturbation.perturb.PerturbationResult.summary` holds, `pearson_control` and `pearson_perturbed`, the means over cells of
    the correlation with the reference profile; of controls `max_difference` and `n_called`; `status`."""
    shown: AnnData
    """The cells around the first placement, with the first seed: `layers` control and perturbed, `obs` pearson_control
    and pearson_perturbed, `obsm["spatial"]`, `uns["roi"]` the places of the region's cells, (r, 2) µm."""


def changed_genes(degs: pd.DataFrame, panel: Sequence[str], unchanged: Sequence[str] = ()) -> dict[str, list[str]]:
    """Say which of a panel's genes are activated and inhibited: the core's, save those that shall stay as they are.

    Parameters
    ----------
    degs
        As `gest.paper.ischemia.reference.core_degs` returns it.
    """
    degs = degs[degs["gene"].isin(panel)]
    for row in degs[degs["gene"].isin(unchanged) & degs["call"].isin([HIGH, LOW])].itertuples():
        log.info("%s is %s in the core, and is left as it is, for its answer is to be shown", row.gene, row.call)
    degs = degs[~degs["gene"].isin(unchanged)]
    return {
        how: degs.loc[degs["call"] == call, "gene"].tolist() for how, call in (("activate", HIGH), ("inhibit", LOW))
    }


def placements(
    xy: np.ndarray, *, centre: Sequence[float], radius_um: float, n: int, jitter_um: float, seed: int = 0
) -> list[Circle]:
    """Place a region n times: at `centre`, then at random within `jitter_um` of it.

    Parameters
    ----------
    xy
        (n, 2) of the section's cells, µm.
    centre
        In fractions of the section's extent.
    """
    rng = np.random.default_rng(seed)
    middle = xy.min(axis=0) + np.ptp(xy, axis=0) * np.asarray(centre)
    angle, reach = 2 * np.pi * rng.random(n - 1), jitter_um * np.sqrt(rng.random(n - 1))  # uniform over the disc
    shift = reach[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return [Circle(float(x), float(y), radius_um) for x, y in [middle, *(middle + shift)]]


def correlations(profiles: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Pearson's correlation over genes of every profile (m, s) with one (s,): (m,), 0 where a profile is constant."""
    profiles, reference = profiles - profiles.mean(axis=1, keepdims=True), reference - reference.mean()
    norm = np.linalg.norm(profiles, axis=1) * np.linalg.norm(reference)
    return np.divide(profiles @ reference, norm, out=np.zeros(len(profiles)), where=norm > 0)


def perturb_ischemia(
    section: AnnData,
    model: GeST,
    *,
    degs: pd.DataFrame,
    reference: tuple[np.ndarray, np.ndarray],
    roi: Mapping[str, Any],
    seeds: Sequence[int],
    sigmas: Sequence[float],
    context: str,
    thresholds: Mapping[str, float],
    n_shuffles: int,
    unchanged: Sequence[str] = (),
) -> Ischemia:
    """Give a region of healthy tissue the genes of an infarct's core, and see what its surroundings become.

    Parameters
    ----------
    section
        Counts in `X`, `obsm["spatial"]` in µm.
    degs
        What changes in the core (`gest.paper.ischemia.reference.core_degs`); genes outside the model's panel are left out.
    reference
        Columns of the panel and their mean expression (`gest.paper.ischemia.reference.mean_profile`).
    roi
        Keyword arguments of `placements`.
    seeds
        Of generation; the first one is also that of placements and shuffles.
    sigmas
        Values of σ besides 1, as multiples of half the region's diameter (decision 28).
    context
        What surroundings are generated from; the other one of `gest.tasks.perturbation.surroundings.CONTEXTS` becomes a variant.
    thresholds
        `q` and `min_lfc` of `gest.tasks.perturbation.differential.differential`.
    n_shuffles
        Repeats of the control that changes as many genes of other names.
    unchanged
        Genes that are not changed in the region though they may differ in the core.

    Raises
    ------
    UserError
        A placement holds no cells or has no surroundings; see `gest.tasks.perturbation.perturb.perturb` for the others.
    """
    first, *_ = seeds
    calls, replicates = [], []

    def keep(variant: str, placement: int, seed: int, around: Surroundings, made: PerturbationResult) -> tuple:
        key = {"variant": variant, "placement": placement, "seed": seed}
        calls.append(pd.DataFrame(key, index=made.deg.index).join(made.deg))
        columns, profile = reference
        pearson = [correlations(made_of[:, columns], profile) for made_of in (made.control, made.perturbed)]
        x, y = around.xy[around.roi].mean(axis=0)
        means = {f"pearson_{name}": each.mean() for name, each in zip(("control", "perturbed"), pearson, strict=True)}
        # The row's own seed, which of shuffles is their number, stands for that of generation.
        replicates.append({"x": x, "y": y, **made.summary, **means, "status": "ok"} | key)
        return tuple(pearson)

    for placement, region in enumerate(placements(np.asarray(section.obsm["spatial"]), seed=first, **roi)):
        for seed in seeds:
            around = Surroundings(section, model, roi=region, context=context, seed=seed)
            genes = changed_genes(degs, around.genes, unchanged)
            made = compare(around, **genes, **thresholds)
            pearson = keep(variant_of(context, 1), placement, seed, around, made)
            if seed != first:
                continue
            for factor in sigmas:
                sigma = factor * around.half_diameter
                other = compare(around, **genes, sigma=sigma, **thresholds)
                keep(variant_of(context, factor), placement, seed, around, other)
            (elsewhere,) = set(CONTEXTS) - {context}
            wider = Surroundings(section, model, roi=region, context=elsewhere, seed=seed)
            keep(variant_of(elsewhere, 1), placement, seed, wider, compare(wider, **genes, **thresholds))
            if placement == 0:
                shown = _shown(section, around, made, pearson)
                for row in controls(around, made, n_shuffles=0).to_dict("records"):
                    replicates.append(
                        {**row, "variant": row["control"].replace(" ", "_"), "placement": 0, "seed": seed}
                    )
                for repeat, names in enumerate(_shuffles(around.genes, n_shuffles, first)):
                    other = {how: [names[name] for name in wanted] for how, wanted in genes.items()}
                    keep(SHUFFLED, 0, repeat, around, compare(around, **other, **thresholds))
    columns = [*calls[0].columns], [*replicates[0], "max_difference", "n_called"]
    return Ischemia(
        pd.concat(calls, ignore_index=True)[columns[0]], pd.DataFrame(replicates).reindex(columns=columns[1]), shown
    )


def _shuffles(genes: np.ndarray, n: int, seed: int) -> list[dict[str, str]]:
    """Give every gene another one's name, n times."""
    rng = np.random.default_rng(seed)
    return [dict(zip(genes, rng.permutation(genes), strict=True)) for _ in range(n)]


def _shown(section: AnnData, around: Surroundings, made: PerturbationResult, pearson: tuple) -> AnnData:
    return AnnData(
        obs=pd.DataFrame(
            dict(zip(("pearson_control", "pearson_perturbed"), pearson, strict=True)),
            index=section.obs_names[made.surroundings],
        ),
        var=made.deg.set_index("gene"),
        obsm={"spatial": around.xy[made.surroundings]},
        layers={"control": made.control, "perturbed": made.perturbed},
        uns={"roi": around.xy[made.roi], "section": str(section.obs["section"].iloc[0]), **made.summary},
    )
