"""How far something has come, as a bar on stderr."""

import sys
from typing import Any

from tqdm import tqdm


def progress(total: int | None, unit: str, desc: str, **options: Any) -> tqdm:
    """Make a bar on stderr; `options` are tqdm's. A log file is spared the many states of what moves on a terminal."""
    interval = 0.5 if sys.stderr.isatty() else 10
    return tqdm(total=total, unit=unit, desc=desc, mininterval=interval, **options)
