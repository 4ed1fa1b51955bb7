"""Reference data of the ischemic mouse brain: changed genes and mean profiles of its regions (section 4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from gest.errors import UserError
from gest.tasks.perturbation.differential import HIGH, LOW, NOT_SIGNIFICANT
from gest.vocabulary import Vocabulary, normalise

CALLS = (HIGH, LOW, NOT_SIGNIFICANT)
PIA_P_DEGS = Path(__file__).with_name("pia_p_degs.csv")
"""The 87 genes of Table A.3."""
_COLUMNS = ("gene", "truth", "paper_prediction", "note")
_TOTAL = 1e4  # counts to which spots are scaled before testing


def read_degs(path: Path | None = None) -> pd.DataFrame:
    """Read the true change of each gene around an infarct, in the order of the file.

    Parameters
    ----------
    path
        A csv with the columns `gene` and `truth` (High, Low or n.s.), and optionally `paper_prediction` and `note`; by
        default the paper's 87 genes of PIA_P.

    Returns
    -------
    These four columns as text; optional columns that the file lacks are empty.

    Raises
    ------
    UserError
        The file cannot be read, lacks a column, has no genes, repeats one, or has an unknown value of `truth`.
    """
    path = path or PIA_P_DEGS
    try:
        table = pd.read_csv(path, comment="#", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as csv ({error}; expected columns gene and truth).") from error
    if missing := [column for column in _COLUMNS[:2] if column not in table]:
        raise UserError(f"{path}: no column '{missing[0]}', only {', '.join(table)} (expected gene and truth).")
    if table.empty:
        raise UserError(f"{path}: the table has no genes (expected a row per gene).")
    if len(repeated := table.loc[table["gene"].duplicated(), "gene"]):
        raise UserError(f"{path}: gene '{repeated.iloc[0]}' has two rows (expected one per gene).")
    if len(unknown := table.loc[~table["truth"].isin(CALLS), "truth"]):
        raise UserError(f"{path}: unknown truth '{unknown.iloc[0]}' (choose {', '.join(CALLS[:2])} or {CALLS[2]}).")
    return table.reindex(columns=list(_COLUMNS), fill_value="")


def find_core_degs(
    injured: Sequence[AnnData],
    sham: Sequence[AnnData],
    *,
    core: str = "ICA",
    sham_region: str | None = None,
    q: float = 0.05,
    min_lfc: float = 1.0,
) -> pd.DataFrame:
    """Find the genes that differ between the core and the sham sections (decision 30).

    The test is Wilcoxon's rank-sum test, two-sided and corrected for ties, on log-normalised counts (scanpy). q values
    are Benjamini and Hochberg's over all genes of the sections. The paper's sham spots are from the whole hemisphere,
    so genes specific to the cortex, where the core lies, differ from them as well.

    Parameters
    ----------
    injured, sham
        Sections of spots with the same genes: counts in `X`, regions in `obs["region"]`.
    core
        Name of the infarct's region.
    sham_region
        Region of the sham sections to compare with; all their spots by default.
    q, min_lfc
        Thresholds of a call: largest q, smallest |log2 fold change|.

    Returns
    -------
    A row per gene of the sections, in their order: `gene`, `log2_fold_change`, `q`, `call`.

    Raises
    ------
    UserError
        There are no injured or no sham sections, or they have no spots of their region.
    """
    # Imported here, so that importing `gest` does not load scanpy.
    import anndata as ad
    import scanpy as sc

    groups = {"core": select_region(injured, core), "sham": select_region(sham, sham_region)}
    spots = ad.concat(groups, label="group", index_unique="-")  # barcodes repeat between sections
    sc.pp.normalize_total(spots, target_sum=_TOTAL)
    sc.pp.log1p(spots)
    sc.tl.rank_genes_groups(spots, "group", groups=["core"], reference="sham", method="wilcoxon", tie_correct=True)
    ranked = sc.get.rank_genes_groups_df(spots, "core").set_index("names").loc[spots.var_names]
    change, significance = ranked["logfoldchanges"].to_numpy(float), ranked["pvals_adj"].to_numpy(float)
    called = (significance < q) & (np.abs(change) >= min_lfc)
    call = np.select([called & (change > 0), called & (change < 0)], [HIGH, LOW], NOT_SIGNIFICANT)
    return pd.DataFrame({"gene": spots.var_names, "log2_fold_change": change, "q": significance, "call": call})


def select_region(sections: Sequence[AnnData], region: str | None) -> AnnData:
    """Select the spots of one region, or all spots, from several sections.

    Raises
    ------
    UserError
        There are no sections, or no spots of the region.
    """
    import anndata as ad

    if not sections:
        raise UserError("ischemia: expected sections of an injury and of a sham. Correct `perturbation.sham`.")
    spots = ad.concat(sections, index_unique="-", keys=[str(number) for number in range(len(sections))])
    if region is None:
        return spots
    known = sorted({str(name) for section in sections for name in section.obs["region"].dropna()})
    if region not in known:
        names = ", ".join(section.obs["section"].iloc[0] for section in sections)
        raise UserError(
            f"ischemia: no spots of region '{region}' in the sections {names} (regions: {', '.join(known) or 'none'}). "
            "Correct `perturbation.regions` or `perturbation.sham`."
        )
    return spots[(spots.obs["region"] == region).to_numpy()].copy()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Mean expression of a region over the genes it shares with a model."""

    columns: np.ndarray
    """(s,) columns among the model's genes."""
    expression: np.ndarray
    """(s,) mean log-normalised expression."""


def average_profile(spots: AnnData, genes: Sequence[str], vocabulary: Vocabulary) -> Profile:
    """Average the spots' expression of the genes shared with a model.

    Spots are normalised like the model's cells.

    Parameters
    ----------
    spots
        Counts in `X`, symbols as `var_names`.
    genes
        Symbols of the vocabulary's T genes, in order.
    vocabulary
        Its normalisation gives the total count of a spot over the shared genes.

    Raises
    ------
    UserError
        Fewer than two genes are shared.
    """
    columns = spots.var_names.get_indexer(np.asarray(genes, dtype=str))
    shared = np.flatnonzero(columns >= 0)
    if len(shared) < 2:
        raise UserError(
            f"ischemia: {len(shared)} of the model's {len(columns)} genes are in the ischemia data (expected at least "
            "two). Use a model of mouse genes, named by symbols."
        )
    profiles = normalise(spots.X[:, columns[shared]], {"target_sum": vocabulary.total_over(shared)})
    return Profile(columns=shared, expression=np.asarray(profiles.mean(axis=0), dtype=np.float64).ravel())
