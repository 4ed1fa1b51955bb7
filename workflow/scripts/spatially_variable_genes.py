"""The genes of a section, ranked by spatial variation."""

import json
import sys
from pathlib import Path

from gest.sections import read_section
from gest.svg import rank_section
from gest.vocabulary import Vocabulary

sys.stderr = open(snakemake.log[0], "w", encoding="utf-8", buffering=1)  # noqa: SIM115 (until the job ends)

method = json.loads(Path(snakemake.input.config).read_text())["svg"]["method"]
section, vocabulary = read_section(snakemake.input.section), Vocabulary.load(snakemake.input.vocabulary)
ranking = rank_section(section, vocabulary, method=method)
ranking.to_csv(snakemake.output[0], index=False)
print(f"{len(ranking)} genes in {section.n_obs} cells, {ranking['gene'][0]} first ({method})", file=sys.stderr)
