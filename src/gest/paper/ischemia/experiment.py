"""The ischemia experiment: change an infarct's genes in a region of healthy tissue, in many replicates (Figure 5).

A replicate has one placement of the region and one seed of generation; genes are called over matched cells (decision
29). Other settings and controls are variants of the experiment, and run with the first seed only: other values of σ and
the other context at every placement, controls at the first placement.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from gest.model import GeST
from gest.paper.ischemia.reference import Profile
from gest.roi import Circle
from gest.tasks.perturbation.controls import controls
from gest.tasks.perturbation.differential import HIGH, LOW
from gest.tasks.perturbation.perturb import PerturbationResult, compare
from gest.tasks.perturbation.surroundings import CONTEXTS, Surroundings

log = logging.getLogger(__name__)

SHUFFLED = "shuffled_names"


@dataclass(frozen=True, kw_only=True)
class Ischemia:
    """The model's prediction of an infarct's surroundings."""

    calls: pd.DataFrame
    """A row per variant, placement, seed and gene: `variant`, `placement`, `seed` and the columns of
    `gest.tasks.perturbation.perturb.PerturbationResult.deg`."""
    replicates: pd.DataFrame
    """A row per `variant`, `placement` and `seed`: these; the centre of the region (`x`, `y`, µm); the fields of
    `gest.tasks.perturbation.perturb.PerturbationResult.summary`; `pearson_control` and `pearson_perturbed`, the means
    over cells of the correlation with the reference profile; `max_difference` and `n_called` for controls; `status`."""
    shown: AnnData
    """The cells around the first placement, with the first seed: `layers` control and perturbed, `obs` pearson_control
    and pearson_perturbed, `obsm["spatial"]`, `uns["roi"]` the positions of the region's cells, (r, 2) µm."""


def perturb_ischemia(
    section: AnnData,
    model: GeST,
    *,
    degs: pd.DataFrame,
    reference: Profile,
    roi: Mapping[str, Any],
    seeds: Sequence[int],
    sigmas: Sequence[float],
    context: str,
    thresholds: Mapping[str, float],
    n_shuffles: int,
    unchanged: Sequence[str] = (),
) -> Ischemia:
    """Change a healthy region like an infarct's core, and generate its surroundings.

    Parameters
    ----------
    section
        Counts in `X`, `obsm["spatial"]` in µm.
    degs
        Changes in the core, as `gest.paper.ischemia.reference.find_core_degs` returns them; genes outside the model's
        panel are ignored.
    reference
        Mean profile of the tissue around an infarct, see `gest.paper.ischemia.reference.average_profile`.
    roi
        Keyword arguments of `place_regions`.
    seeds
        Seeds of generation; the first one is also used for placements and shuffles.
    sigmas
        Values of σ besides 1, as multiples of half the region's diameter (decision 28).
    context
        Cells that the surroundings are generated from, see `gest.tasks.perturbation.surroundings.Surroundings`; the
        other context becomes a variant.
    thresholds
        `q` and `min_lfc` of `gest.tasks.perturbation.differential.differential`.
    n_shuffles
        Repeats of the control that changes equally many random genes.
    unchanged
        Genes to leave unchanged in the region even if they differ in the core.

    Raises
    ------
    UserError
        A placement has no cells or no surroundings; see `gest.tasks.perturbation.perturb.perturb` for other reasons.
    """
    first, *_ = seeds
    (other_context,) = set(CONTEXTS) - {context}
    record = _Record(reference, thresholds)
    regions = place_regions(np.asarray(section.obsm["spatial"]), seed=first, **roi)
    for placement, region in enumerate(regions):
        for seed in seeds:
            surroundings = Surroundings(section, model, roi=region, context=context, seed=seed)
            genes = select_changed_genes(degs, surroundings.genes, unchanged)
            key = {"placement": placement, "seed": seed}
            result = record.perturb(surroundings, genes, variant=name_variant(context, 1), **key)
            if seed != first:
                continue
            for factor in sigmas:
                sigma = factor * surroundings.half_diameter
                record.perturb(surroundings, genes, variant=name_variant(context, factor), **key, sigma=sigma)
            wider = Surroundings(section, model, roi=region, context=other_context, seed=seed)
            record.perturb(wider, genes, variant=name_variant(other_context, 1), **key)
            if placement == 0:
                shown = _to_anndata(section, surroundings, result, reference)
                record.add_controls(surroundings, result, genes, n_shuffles=n_shuffles, seed=seed)
    return Ischemia(calls=record.calls, replicates=record.replicates, shown=shown)


def select_changed_genes(
    degs: pd.DataFrame, panel: Sequence[str], unchanged: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Select a panel's genes to activate and to inhibit.

    They are those that are High and Low in the core, except the `unchanged` ones.

    Parameters
    ----------
    degs
        As `gest.paper.ischemia.reference.find_core_degs` returns it.
    """
    degs = degs[degs["gene"].isin(panel)]
    for row in degs[degs["gene"].isin(unchanged) & degs["call"].isin([HIGH, LOW])].itertuples():
        log.info("%s is %s in the core, but is left unchanged, since its response will be shown", row.gene, row.call)
    degs = degs[~degs["gene"].isin(unchanged)]
    return {
        change: degs.loc[degs["call"] == call, "gene"].tolist()
        for change, call in (("activate", HIGH), ("inhibit", LOW))
    }


def place_regions(
    xy: np.ndarray, *, centre: Sequence[float], radius_um: float, n: int, jitter_um: float, seed: int = 0
) -> list[Circle]:
    """Place a region n times: at `centre`, then at random within `jitter_um` of it.

    Parameters
    ----------
    xy
        (cells, 2) positions of the section's cells, µm.
    centre
        x and y of the first region's centre, as fractions of the section's extent.
    """
    rng = np.random.default_rng(seed)
    middle = xy.min(axis=0) + np.ptp(xy, axis=0) * np.asarray(centre)
    angle, reach = 2 * np.pi * rng.random(n - 1), jitter_um * np.sqrt(rng.random(n - 1))  # uniform over the disc
    shift = reach[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return [Circle(float(x), float(y), radius_um) for x, y in [middle, *(middle + shift)]]


def name_variant(context: str, factor: float) -> str:
    """Name a variant by its context, and by σ as a multiple of half the diameter."""
    return f"{context}/{factor:g}"


def correlate(profiles: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation (m,) of profiles (m, s) with a reference (s,).

    It is 0 for a constant profile.
    """
    profiles, reference = profiles - profiles.mean(axis=1, keepdims=True), reference - reference.mean()
    norm = np.linalg.norm(profiles, axis=1) * np.linalg.norm(reference)
    return np.divide(profiles @ reference, norm, out=np.zeros(len(profiles)), where=norm > 0)


class _Record:
    """Run perturbations, and collect their calls and replicates.

    The parameters are as for `perturb_ischemia`.
    """

    def __init__(self, reference: Profile, thresholds: Mapping[str, float]) -> None:
        self._reference = reference
        self._thresholds = thresholds
        self._calls: list[pd.DataFrame] = []
        self._replicates: list[dict[str, Any]] = []

    def perturb(
        self,
        surroundings: Surroundings,
        genes: Mapping[str, Sequence[str]],
        *,
        variant: str,
        placement: int,
        seed: int,
        sigma: float | None = None,
    ) -> PerturbationResult:
        """Run one replicate; without `sigma`, with the default σ."""
        result = compare(surroundings, **genes, sigma=sigma, **self._thresholds)
        key = {"variant": variant, "placement": placement, "seed": seed}
        self._calls.append(pd.DataFrame(key, index=result.deg.index).join(result.deg))
        x, y = surroundings.xy[surroundings.roi].mean(axis=0)
        means = {name: pearson.mean() for name, pearson in _correlate_both(result, self._reference).items()}
        # `key` comes last: for shuffled names the number of the repeat replaces the seed of generation.
        self._replicates.append({"x": x, "y": y, **result.summary, **means, "status": "ok"} | key)
        return result

    def add_controls(
        self,
        surroundings: Surroundings,
        result: PerturbationResult,
        genes: Mapping[str, Sequence[str]],
        *,
        n_shuffles: int,
        seed: int,
    ) -> None:
        """Run the controls of the first placement.

        They change nothing, a distant region, or other genes.
        """
        for row in controls(surroundings, result, n_shuffles=0).to_dict("records"):
            variant = row["control"].replace(" ", "_")
            self._replicates.append({**row, "variant": variant, "placement": 0, "seed": seed})
        for repeat, shuffled in enumerate(_shuffle_names(genes, surroundings.genes, n=n_shuffles, seed=seed)):
            self.perturb(surroundings, shuffled, variant=SHUFFLED, placement=0, seed=repeat)

    @property
    def calls(self) -> pd.DataFrame:
        """Return the calls so far, as `Ischemia.calls`."""
        return pd.concat(self._calls, ignore_index=True)[list(self._calls[0].columns)]

    @property
    def replicates(self) -> pd.DataFrame:
        """Return the replicates so far, as `Ischemia.replicates`."""
        columns = [*self._replicates[0], "max_difference", "n_called"]
        return pd.DataFrame(self._replicates).reindex(columns=columns)


def _correlate_both(result: PerturbationResult, reference: Profile) -> dict[str, np.ndarray]:
    """Correlate control and perturbed cells with the reference profile."""
    return {
        "pearson_control": correlate(result.control[:, reference.columns], reference.expression),
        "pearson_perturbed": correlate(result.perturbed[:, reference.columns], reference.expression),
    }


def _shuffle_names(
    changed: Mapping[str, Sequence[str]], panel: np.ndarray, *, n: int, seed: int
) -> Iterator[dict[str, list[str]]]:
    """Yield n random replacements of the changed genes by genes of the panel.

    Each maps the names of all genes by one random permutation, so that the numbers of changed genes stay the same.
    """
    rng = np.random.default_rng(seed)
    for _ in range(n):
        names = dict(zip(panel, rng.permutation(panel), strict=True))
        yield {change: [names[gene] for gene in genes] for change, genes in changed.items()}


def _to_anndata(
    section: AnnData, surroundings: Surroundings, result: PerturbationResult, reference: Profile
) -> AnnData:
    """Return the generated cells as `Ischemia.shown`."""
    return AnnData(
        obs=pd.DataFrame(_correlate_both(result, reference), index=section.obs_names[result.surroundings]),
        var=result.deg.set_index("gene"),
        obsm={"spatial": surroundings.xy[result.surroundings]},
        layers={"control": result.control, "perturbed": result.perturbed},
        uns={
            "roi": surroundings.xy[result.roi],
            "section": str(section.obs["section"].iloc[0]),
            **result.summary,
        },
    )
