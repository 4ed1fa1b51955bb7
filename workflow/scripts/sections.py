"""The table of sections: every section as read, checked against the known contents of its upstream files."""

import logging

import pandas as pd

from gest.data.inventory import COLUMNS, describe, expect, totals
from gest.paper.tables.html import write_text
from gest.paper.tables.markdown import lay_out_frame
from gest.utils.logs import log_to

log_to(snakemake.log[0])

rows = [
    describe(dataset, section, role, path)
    for (dataset, section, role), path in zip(snakemake.params.roles, snakemake.input.sections, strict=True)
]
table = pd.DataFrame(rows, columns=COLUMNS)
for dataset, (expected, sections) in snakemake.params.expected.items():
    read = table[(table["dataset"] == dataset) & table["section"].isin(sections)]
    expect(totals(read), expected, where=f"all sections of {dataset}")
table.to_csv(snakemake.output.table, index=False)
text = f"Sections, run {snakemake.params.run}: {table['cells'].sum():,} cells\n\n{lay_out_frame(table)}\n"
write_text(text, snakemake.output.text, snakemake.output.page)
logging.info("%d sections of %d datasets, %d cells", len(table), table["dataset"].nunique(), table["cells"].sum())
