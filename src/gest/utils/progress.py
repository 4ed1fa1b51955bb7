"""Progress bars on stderr."""

import sys
from typing import Any

from tqdm import tqdm


def progress(total: int | None, unit: str, desc: str, **options: Any) -> tqdm:
    """Make a progress bar on stderr; `options` are tqdm's.

    If stderr is not a terminal but a log file, it is updated only every 10 s.
    """
    interval = 0.5 if sys.stderr.isatty() else 10
    return tqdm(total=total, unit=unit, desc=desc, mininterval=interval, **options)
