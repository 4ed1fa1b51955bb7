"""How the command starts: with its memory on huge pages, which nobody has to ask for."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")
KNOWS = platform.libc_ver()[0] == "glibc" and tuple(map(int, platform.libc_ver()[1].split("."))) >= (2, 35)
TOLD = """
import os
from pathlib import Path
import gest.__main__, gest.cli

def main():
    own = bytearray(30_000_000)
    flags = [line for line in Path("/proc/self/smaps").read_text().splitlines() if line.startswith("VmFlags")]
    print(os.getpid(), os.environ["GLIBC_TUNABLES"], any(" hg" in line for line in flags))

gest.cli.main = main
gest.__main__.start()
"""


def started(given: str | None) -> list[str]:
    """Start a command that tells its number, what glibc was told, and whether it has memory on huge pages."""
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment |= {} if given is None else {"GLIBC_TUNABLES": given}
    run = subprocess.Popen([sys.executable, "-c", TOLD], env=environment, stdout=subprocess.PIPE, text=True)
    told, _ = run.communicate()
    assert run.returncode == 0
    number, *rest = told.split()
    assert int(number) == run.pid, "a scheduler's signals still find it"
    return rest


@pytest.mark.skipif(
    not (KNOWS and THP.exists() and "[madvise]" in THP.read_text()), reason="huge pages are not for the asking"
)
@pytest.mark.parametrize(
    ("given", "tunables", "huge"),
    [
        (None, "glibc.malloc.hugetlb=1", "True"),
        ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1", "True"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0", "False"),
    ],
)
def test_memory_lies_on_huge_pages_unless_it_was_forbidden(given, tunables, huge):
    assert started(given) == [tunables, huge]


def test_the_command_is_the_one_that_was_typed():
    command = Path(sys.executable).with_name("gest")
    for start in ([str(command)], [sys.executable, "-m", "gest"]):
        run = subprocess.run([*start, "pretrain", "no such.h5ad", "--oops"], capture_output=True, text=True)
        assert run.returncode == 2
        assert "No such option: --oops" in run.stderr
