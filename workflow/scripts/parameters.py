"""The parameters of the run, merged from all configuration files, and its software versions."""

import logging
import platform
from importlib.metadata import distributions

import yaml

from gest.paper.tables.html import write_text
from gest.utils.logs import log_to

log_to(snakemake.log[0])

installed = sorted({f"{package.metadata['Name']} {package.version}" for package in distributions()}, key=str.lower)
text = "\n\n".join(
    [
        f"Parameters of run {snakemake.params.run}: every key, as merged from all configuration files",
        f"```yaml\n{yaml.safe_dump(snakemake.config, sort_keys=False, allow_unicode=True, width=140)}```",
        f"Software: Python {platform.python_version()}, {', '.join(installed)}.",
    ]
)
write_text(text + "\n", snakemake.output.text, snakemake.output.page)
logging.info("%d keys, %d packages", len(snakemake.config), len(installed))
