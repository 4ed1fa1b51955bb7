"""Progress bars on stderr."""

import sys
from typing import Any

from tqdm import tqdm


def progress(total: int | None, unit: str, desc: str, **options: Any) -> tqdm:
    """Make a bar on stderr, updated rarely where stderr is a log file; `options` are tqdm's."""
    interval = 0.5 if sys.stderr.isatty() else 10
    return tqdm(total=total, unit=unit, desc=desc, mininterval=interval, **options)
