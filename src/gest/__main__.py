"""`gest` and `python -m gest`: the command line, with its memory on huge pages where the system has them (Linux)."""

import os
import sys

TUNABLES, HUGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"


def start() -> None:
    """Run the command line; glibc can be asked for huge pages at the start of a process alone, so it starts anew.

    On ordinary pages a CPU may spend a part of its time on finding them: how much differs (`docs/performance.md`).
    """
    given = os.environ.get(TUNABLES, "")
    if sys.platform == "linux" and HUGE_PAGES not in given:
        os.environ[TUNABLES] = ":".join(filter(None, (given, f"{HUGE_PAGES}=1")))
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    from gest.cli import main

    main()


if __name__ == "__main__":
    start()
