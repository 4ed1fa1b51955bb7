"""What is known of the ischaemic mouse brain: genes that change in the infarct and around it (section 4.4)."""

from collections.abc import Sequence
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
_TOTAL = 1e4  # counts that spots are scaled to before they are tested


def read_degs(path: Path | None = None) -> pd.DataFrame:
    """Read which genes of a region are high and low, in the order of the file.

    Parameters
    ----------
    path
        A csv with the columns `gene` and `truth` (High, Low or n.s.), and at will `paper_prediction` and `note`; the
        paper's 87 genes of PIA_P if not given.

    Returns
    -------
    Those four columns as text, empty where the file is.

    Raises
    ------
    UserError
        The file cannot be read, lacks a column, names a gene twice or none at all, or has a type that is unknown.
    """
    path = path or PIA_P_DEGS
    try:
        table = pd.read_csv(path, comment="#", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as csv ({error}); give columns gene and truth.") from error
    if missing := [column for column in _COLUMNS[:2] if column not in table]:
        raise UserError(f"{path}: there is no column '{missing[0]}', only {', '.join(table)}; give gene and truth.")
    if table.empty or table["gene"].duplicated().any():
        twice = table.loc[table["gene"].duplicated(), "gene"]
        what = f"'{twice.iloc[0]}' stands there twice" if len(twice) else "there is no gene"
        raise UserError(f"{path}: {what}, where each gene has one row; mend the table.")
    if len(unknown := table.loc[~table["truth"].isin(CALLS), "truth"]):
        raise UserError(f"{path}: truth is '{unknown.iloc[0]}', and must be {', '.join(CALLS[:2])} or {CALLS[2]}.")
    return table.reindex(columns=list(_COLUMNS), fill_value="")


def core_degs(
    injured: Sequence[AnnData],
    sham: Sequence[AnnData],
    *,
    core: str = "ICA",
    sham_region: str | None = None,
    q: float = 0.05,
    min_lfc: float = 1.0,
) -> pd.DataFrame:
    """Find what differs between the spots of the infarct's core and those of the sham sections (decision 30).

    Wilcoxon's rank-sum test, two-sided and corrected for ties, on log-normalised counts (scanpy); q values are
    Benjamini and Hochberg's over all genes of the file. The paper's sham spots are of the whole hemisphere; a gene of
    the cortex, where the core lies, then differs for that reason too.

    Parameters
    ----------
    injured, sham
        Sections of spots over the same genes: counts in `X`, `obs["region"]`.
    core
        The infarct's region.
    sham_region
        The region of the sham sections that it is compared with; all spots if not given.
    q, min_lfc
        Thresholds of a call: largest q, smallest |log2 fold change|.

    Returns
    -------
    A row per gene of the sections, in their order: `gene`, `log2_fold_change`, `q`, `call`.

    Raises
    ------
    UserError
        There is no section of either kind, or none with spots of its region.
    """
    # Here alone, so that `gest` does not wait for scanpy.
    import anndata as ad
    import scanpy as sc

    groups = {"core": of_region(injured, core), "sham": of_region(sham, sham_region)}
    spots = ad.concat(groups, label="group", index_unique="-")  # barcodes repeat between sections
    sc.pp.normalize_total(spots, target_sum=_TOTAL)
    sc.pp.log1p(spots)
    sc.tl.rank_genes_groups(spots, "group", groups=["core"], reference="sham", method="wilcoxon", tie_correct=True)
    ranked = sc.get.rank_genes_groups_df(spots, "core").set_index("names").loc[spots.var_names]
    change, significance = ranked["logfoldchanges"].to_numpy(float), ranked["pvals_adj"].to_numpy(float)
    called = (significance < q) & (np.abs(change) >= min_lfc)
    call = np.select([called & (change > 0), called & (change < 0)], [HIGH, LOW], NOT_SIGNIFICANT)
    return pd.DataFrame({"gene": spots.var_names, "log2_fold_change": change, "q": significance, "call": call})


def of_region(sections: Sequence[AnnData], region: str | None) -> AnnData:
    """Take the spots of one region, or all, out of several sections.

    Raises
    ------
    UserError
        There are none.
    """
    import anndata as ad

    if not sections:
        raise UserError("ischaemia: sections of an injury and of a sham are needed; correct `perturbation.sham`.")
    spots = ad.concat(sections, index_unique="-", keys=[str(place) for place in range(len(sections))])
    if region is None:
        return spots
    known = sorted({str(name) for section in sections for name in section.obs["region"].dropna()})
    if region not in known:
        names = ", ".join(section.obs["section"].iloc[0] for section in sections)
        raise UserError(
            f"ischaemia: no spot of the sections {names} is of region '{region}' (they are of "
            f"{', '.join(known) or 'none'}); correct `perturbation.regions`, or which sections are `perturbation.sham`."
        )
    return spots[(spots.obs["region"] == region).to_numpy()].copy()


def mean_profile(spots: AnnData, genes: Sequence[str], vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Average the spots' expression over the genes they share with a model, normalised as the model's cells are.

    Parameters
    ----------
    spots
        Counts in `X`, symbols as `var_names`.
    genes
        T symbols, those of the vocabulary's genes.
    vocabulary
        It holds the training set's total of counts, of which the shared genes' usual part is taken.

    Returns
    -------
    Columns among the T genes, (s,), and their mean log-normalised expression, (s,).

    Raises
    ------
    UserError
        Fewer than two genes are shared.
    """
    place = spots.var_names.get_indexer(np.asarray(genes, dtype=str))
    shared = np.flatnonzero(place >= 0)
    if len(shared) < 2:
        raise UserError(
            f"ischaemia: {len(shared)} of the model's {len(place)} genes are in the ischaemia data, and a correlation "
            "needs two; use a model of mouse genes, named by symbols."
        )
    profiles = normalise(spots.X[:, place[shared]], {"target_sum": vocabulary.total_over(shared)})
    return shared, np.asarray(profiles.mean(axis=0), dtype=np.float64).ravel()
