"""Download from a local server that imitates faults; expected hashes come from hashlib."""

import builtins
import errno
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import refused

from gest.data import http as transfer
from gest.data.download import obtain
from gest.errors import UserError
from gest.testing import server
from gest.testing.server import serve

NAME = "atlas/cells.h5ad"
CONTENT = np.random.default_rng(0).bytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch):
    monkeypatch.setattr(transfer, "ATTEMPTS", 3)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def upstream(tmp_path) -> Path:
    path = tmp_path / "upstream" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return tmp_path / "upstream"


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "data"


def entry(*addresses, **other):
    return {"urls": [f"{a}/{NAME}" for a in addresses], "size": len(CONTENT), "md5": MD5} | other


def get(entry, folder, name=NAME, **options):
    options = {"backoff": 0.01, "timeout": (2, 0.3)} | options
    return obtain(entry, name, folder, page="https://example.org/data", again="snakemake all", **options)


def refused_download(entry, folder, **options) -> str:
    """Check that a download fails and leaves no file under a final name; return the error message."""
    before = set(folder.rglob("*")) if folder.exists() else set()
    message = refused(lambda: get(entry, folder, **options), "snakemake all")
    new = {p for p in set(folder.rglob("*")) - before if p.is_file()}
    assert all(p.name.endswith((".part", ".part.lock")) for p in new)
    return message


def files(folder) -> set[str]:
    return {p.name for p in folder.rglob("*") if p.is_file()}


def test_file_arrives_whole_and_the_receipt_says_what_it_is(upstream, folder, capsys):
    with serve(upstream) as address:
        receipt = get(entry(address), folder)
    shown = capsys.readouterr()
    assert f"{NAME}: 100%" in shown.err
    assert "3.00M/3.00M" in shown.err
    assert shown.out == ""
    assert (folder / NAME).read_bytes() == CONTENT
    assert receipt == {
        "file": NAME,
        "bytes": len(CONTENT),
        "sha256": SHA256,
        "md5": MD5,
        "url": f"{address}/{NAME}",
        "checked": ["size", "md5"],
    }
    assert files(folder) == {"cells.h5ad"}


def test_environment_variables_in_addresses(upstream, folder, monkeypatch):
    with serve(upstream) as address:
        monkeypatch.setenv("GEST_FIXTURES", address)
        # The receipt keeps the address as configured, so that it is the same in every run.
        assert get(entry("$GEST_FIXTURES"), folder)["url"] == f"$GEST_FIXTURES/{NAME}"
    assert (folder / NAME).read_bytes() == CONTENT


def test_gz_file_that_the_server_declares_encoded_is_not_unpacked(upstream, folder):
    packed = gzip.compress(CONTENT[:1000], mtime=0)
    (upstream / "genes.tsv.gz").write_bytes(packed)
    with serve(upstream) as address:
        get({"urls": [f"{address}/genes.tsv.gz"]}, folder, name="genes.tsv.gz")
    assert (folder / "genes.tsv.gz").read_bytes() == packed


def test_dropped_connection_is_resumed_not_restarted(upstream, folder):
    answers = []
    with serve(upstream, {NAME: ["drop"]}, answers) as address:
        assert get(entry(address), folder)["md5"] == MD5
    assert [a["status"] for a in answers] == [200, 206]
    # Bytes that were buffered when the connection ended may be requested again: less than one block.
    assert len(CONTENT) <= sum(a["bytes"] for a in answers) < len(CONTENT) + (1 << 18)


def test_unannounced_length_is_compared_with_the_known_size(upstream, folder):
    answers = []
    with serve(upstream, {NAME: ["drop, no length"]}, answers) as address:
        get(entry(address), folder)
    assert [a["status"] for a in answers] == [200, 206]
    assert (folder / NAME).read_bytes() == CONTENT


def test_later_run_resumes_an_earlier_one(upstream, folder):
    answers = []
    with serve(upstream, {NAME: ["drop", 404]}, answers) as address:
        refused_download(entry(address), folder)
        part_size = (folder / (NAME + ".part")).stat().st_size
        assert 0 < part_size < len(CONTENT)
        get(entry(address), folder)
    assert answers[-1] == {"path": f"/{NAME}", "status": 206, "bytes": len(CONTENT) - part_size}
    assert (folder / NAME).read_bytes() == CONTENT


def test_progress_renews_the_attempts(upstream, folder):
    with serve(upstream, {NAME: ["drop"] * 2 * transfer.ATTEMPTS}) as address:
        assert get(entry(address), folder)["md5"] == MD5


@pytest.mark.parametrize(("size", "statuses"), [(len(CONTENT), []), (None, [416])])
def test_complete_part_is_not_fetched_again(upstream, folder, size, statuses):
    answers = []
    (folder / "atlas").mkdir(parents=True)
    (folder / (NAME + ".part")).write_bytes(CONTENT)
    with serve(upstream, answers=answers) as address:
        get(entry(address, size=size), folder)
        assert [a["status"] for a in answers] == statuses
        assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_part_that_is_too_long_or_of_other_bytes_is_fetched_again(upstream, folder, size):
    part = folder / (NAME + ".part")
    part.parent.mkdir(parents=True)
    for content in (CONTENT + b"more", b"other" * 1000):
        part.write_bytes(content)
        with serve(upstream) as address:
            get(entry(address, size=size), folder)
        assert (folder / NAME).read_bytes() == CONTENT
        (folder / NAME).unlink()


def test_part_without_a_known_hash_is_not_trusted(upstream, folder):
    (folder / "atlas").mkdir(parents=True)
    (folder / (NAME + ".part")).write_bytes(b"other")
    with serve(upstream) as address:
        receipt = get(entry(address, md5=None, size=None), folder)
    assert (folder / NAME).read_bytes() == CONTENT
    assert receipt["sha256"] == SHA256
    assert receipt["checked"] == []
    assert "md5" not in receipt


def test_server_that_ignores_range_sends_all_again(upstream, folder):
    answers = []
    with serve(upstream, {NAME: ["drop", "ignore range"]}, answers) as address:
        get(entry(address), folder)
    assert [a["status"] for a in answers] == [200, 200]
    assert (folder / NAME).read_bytes() == CONTENT


def test_server_that_always_drops_and_ignores_range_is_given_up(upstream, folder):
    answers = []
    with serve(upstream, {NAME: ["drop, ignore range"] * 99}, answers) as address:
        assert f"{address}/{NAME} dropped the connection" in refused_download(entry(address), folder)
    # The first attempt makes progress; the others do not.
    assert len(answers) == 1 + transfer.ATTEMPTS


def test_range_that_begins_elsewhere_is_not_appended(upstream, folder):
    answers = []
    with serve(upstream, {NAME: ["drop", "shift range"]}, answers) as address:
        get(entry(address, md5=None, size=None), folder)
    assert [a["status"] for a in answers] == [200, 206, 200]
    assert (folder / NAME).read_bytes() == CONTENT


def test_stall_is_noticed_and_resumed(upstream, folder):
    answers = []
    with serve(upstream, {NAME: ["stall"]}, answers) as address:
        get(entry(address), folder)
    assert [a["status"] for a in answers] == [200, 206]
    assert (folder / NAME).read_bytes() == CONTENT


def test_endless_stall_is_an_error(upstream, folder, monkeypatch):
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    with serve(upstream, {NAME: ["stall"] * 99}) as address:
        assert f"{address}/{NAME} stalled" in refused_download(entry(address), folder, timeout=(1, 0.5))


def test_busy_server_is_retried(upstream, folder):
    answers = []
    with serve(upstream, {NAME: [503, 429]}, answers) as address:
        get(entry(address), folder)
    assert [a["status"] for a in answers] == [503, 429, 200]


def test_server_that_stays_busy_is_given_up(upstream, folder):
    answers = []
    with serve(upstream, {NAME: [503] * 99}, answers) as address:
        assert f"{address}/{NAME} answered 503" in refused_download(entry(address), folder)
    assert len(answers) == transfer.ATTEMPTS


@pytest.mark.parametrize("status", [403, 404])
def test_refusal_is_final(upstream, folder, status):
    answers = []
    with serve(upstream, {NAME: [status] * 99}, answers) as address:
        assert f"{address}/{NAME} answered {status}" in refused_download(entry(address), folder)
    assert len(answers) == 1


def test_unreachable_server(upstream, folder):
    with serve(upstream) as address:
        pass
    message = refused_download(entry(address), folder)
    assert "could not be reached" in message
    assert "https://example.org/data" in message


@pytest.mark.parametrize("fault", [404, 503, "wrong bytes", "stall"])
def test_next_address_after_the_first_fails(upstream, folder, fault, tmp_path):
    with serve(upstream, {NAME: [fault] * 9}) as first, serve(upstream) as second:
        receipt = get(entry(first, second), folder, timeout=(1, 0.5))
    assert receipt["url"] == f"{second}/{NAME}"
    assert (folder / NAME).read_bytes() == CONTENT


def test_wrong_hash_is_fetched_once_more(upstream, folder):
    with serve(upstream, {NAME: ["wrong bytes"]}) as address:
        get(entry(address), folder)
    assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_hash_that_stays_wrong_names_file_url_expected_and_got(upstream, folder, algorithm):
    wrong = bytearray(CONTENT)
    wrong[len(wrong) // 2] ^= 1
    got, expected = (hashlib.new(algorithm, content).hexdigest() for content in (wrong, CONTENT))
    with serve(upstream, {NAME: ["wrong bytes"] * 99}) as address:
        message = refused_download(entry(address, md5=None) | {algorithm: expected}, folder)
    for part in (str(folder / NAME), f"{address}/{NAME}", got, expected):
        assert part in message
    assert files(folder) == {"cells.h5ad.part.lock"}


@pytest.mark.parametrize("md5", [MD5, None])
def test_truncated_upstream_file(upstream, folder, md5):
    (upstream / NAME).write_bytes(CONTENT[:1000])
    with serve(upstream) as address:
        message = refused_download(entry(address, md5=md5), folder)
    assert f"announced 1000 bytes instead of {len(CONTENT)}" in message


def test_empty_answer_is_refused(upstream, folder):
    (upstream / NAME).write_bytes(b"")
    with serve(upstream) as address:
        assert "has 0 bytes" in refused_download(entry(address, md5=None, size=None), folder)


def test_full_disk_says_how_much_is_missing_and_the_part_is_resumed(upstream, folder, monkeypatch):
    part, room = folder / (NAME + ".part"), 1_000_000

    class Full(io.FileIO):
        def write(self, block):
            if self.tell() + len(block) > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(block)

    def small_disk(path, mode="r", *args, **kwargs):
        return Full(path, mode) if path == part and "r" not in mode else builtins.open(path, mode, *args, **kwargs)

    answers = []
    with serve(upstream, answers=answers) as address:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", small_disk)
            message = refused_download(entry(address), folder)
        part_size = part.stat().st_size
        assert f"No space left on device; {len(CONTENT) - part_size} more bytes are needed)" in message
        get(entry(address), folder)
    assert answers[-1]["bytes"] == len(CONTENT) - part_size > 0
    assert (folder / NAME).read_bytes() == CONTENT


def test_folder_that_cannot_be_created(upstream, tmp_path):
    (tmp_path / "data").write_text("a file in the folder's place")
    with serve(upstream) as address, pytest.raises(UserError, match="cannot be written") as error:
        get(entry(address), tmp_path / "data")
    assert "\n" not in str(error.value)


def test_file_in_place_is_verified_and_used_without_the_network(folder):
    (folder / "atlas").mkdir(parents=True)
    (folder / NAME).write_bytes(CONTENT)
    before = (folder / NAME).stat()
    receipt = get(entry("http://127.0.0.1:1"), folder)
    assert receipt["url"] == "already there"
    assert receipt["checked"] == ["size", "md5"]
    assert (folder / NAME).stat() == before
    assert files(folder) == {"cells.h5ad"}


@pytest.mark.parametrize(
    ("content", "got"),
    [(CONTENT[:-1], "has 2999999 bytes"), (b"x" * len(CONTENT), hashlib.md5(b"x" * len(CONTENT)).hexdigest())],
)
def test_wrong_file_in_place_is_refused_and_kept(upstream, folder, content, got):
    (folder / "atlas").mkdir(parents=True)
    (folder / NAME).write_bytes(content)
    with serve(upstream) as address:
        message = refused_download(entry(address), folder)
    assert got in message
    assert f"{folder / NAME}: the file in place" in message
    assert "remove it" in message
    assert (folder / NAME).read_bytes() == content


def test_no_address_names_page_folder_and_names(folder):
    message = refused_download({"urls": [], "size": None, "otherwise": ["atlas/cells.gem"]}, folder)
    for part in ("https://example.org/data", str(folder), f"{NAME} or atlas/cells.gem", "snakemake all"):
        assert part in message
    assert not folder.exists()


def test_other_name_in_place_is_used(folder):
    (folder / "atlas").mkdir(parents=True)
    (folder / "atlas" / "cells.gem").write_bytes(b"placed")
    receipt = get({"urls": [], "md5": MD5, "otherwise": ["atlas/cells.tsv", "atlas/cells.gem"]}, folder)
    assert receipt == {
        "file": "atlas/cells.gem",
        "bytes": 6,
        "sha256": hashlib.sha256(b"placed").hexdigest(),
        "url": "already there",
        "checked": [],
    }


def test_empty_file_in_place_is_refused(folder):
    (folder / "atlas").mkdir(parents=True)
    (folder / NAME).touch()
    assert "has 0 bytes" in refused_download({"urls": []}, folder)


def article(upstream, **changes):
    file = {
        "name": "cells.h5ad",
        "size": len(CONTENT),
        "download_url": f"$GEST_FIXTURES/{NAME}",
        "computed_md5": MD5,
        "supplied_md5": "",
    } | changes
    path = upstream / "v2" / "articles" / "7"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"id": 7, "files": [{"name": "readme", "size": 1}, file]}))


def test_figshare_is_resolved_once_and_locked(upstream, folder):
    article(upstream)
    answers = []
    with serve(upstream, answers=answers) as address:
        figshare_entry = {"figshare": f"{address}/v2/articles/7", "size": None, "md5": None}
        receipt = get(figshare_entry, folder)
        assert receipt["checked"] == ["size", "md5"]
        lock = json.loads((folder / (NAME + ".lock.json")).read_text())
        assert set(lock) == {"urls", "size", "md5", "date"}
        assert lock["urls"] == [f"{address}/{NAME}"]
        assert (lock["size"], lock["md5"]) == (len(CONTENT), MD5)
        # The article changes, but the lock does not.
        article(upstream, computed_md5="0" * 32)
        assert get(figshare_entry, folder)["checked"] == ["size", "md5"]
        (folder / NAME).unlink()
        assert get(figshare_entry, folder) == receipt
    assert [a["path"] for a in answers] == ["/v2/articles/7", f"/{NAME}", f"/{NAME}"]


def test_file_in_place_is_checked_against_the_figshare_lock(upstream, folder):
    article(upstream)
    with serve(upstream) as address:
        figshare_entry = {"figshare": f"{address}/v2/articles/7"}
        get(figshare_entry, folder)
    (folder / NAME).write_bytes(b"x" * len(CONTENT))
    assert MD5 in refused_download(figshare_entry, folder)


def test_figshare_wrong_md5_leaves_no_lock(upstream, folder):
    article(upstream, computed_md5="0" * 32)
    with serve(upstream) as address:
        assert "0" * 32 in refused_download({"figshare": f"{address}/v2/articles/7"}, folder)
    assert files(folder) == {"cells.h5ad.part.lock"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<html>", "did not answer with JSON"),
        ("[]", "lacks cells.h5ad"),
        ('{"files": []}', "lacks cells.h5ad"),
        ('{"files": [{"name": "cells.h5ad", "size": 3}]}', "download_url"),
        ('{"files": [{"name": "cells.h5ad", "size": null, "download_url": "x"}]}', "lacks cells.h5ad"),
    ],
)
def test_unexpected_answer_of_figshare(upstream, folder, text, says):
    article(upstream)
    (upstream / "v2" / "articles" / "7").write_text(text)
    with serve(upstream) as address:
        message = refused_download({"figshare": f"{address}/v2/articles/7"}, folder)
    assert f"{address}/v2/articles/7" in message
    assert says in message


def test_figshare_that_is_busy_or_gone(upstream, folder):
    article(upstream)
    with serve(upstream, {"v2/articles/7": [503, 404]}) as address:
        assert "answered 404" in refused_download({"figshare": f"{address}/v2/articles/7"}, folder)


def test_damaged_lock_is_named(upstream, folder):
    (folder / "atlas").mkdir(parents=True)
    lock = folder / (NAME + ".lock.json")
    lock.write_text("{}")
    assert str(lock) in refused_download({"figshare": "http://127.0.0.1:1"}, folder)


def test_two_at_once_download_once(upstream, folder):
    answers, receipts = [], []
    with serve(upstream, {NAME: ["stall"]}, answers) as address:
        threads = [threading.Thread(target=lambda: receipts.append(get(entry(address), folder))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [a["status"] for a in answers] == [200, 206]
    assert sorted(r["url"] for r in receipts) == ["already there"] * 2 + [f"{address}/{NAME}"]
    assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.slow
def test_command_runs_beside_the_server_and_its_status_is_returned(upstream):
    code = (
        "import os, sys, requests; "
        f"r = requests.get(os.environ['GEST_FIXTURES'] + '/{NAME}'); "
        f"sys.exit(7 if len(r.content) == {len(CONTENT)} else 1)"
    )
    run = [sys.executable, "-m", "gest.testing.server", str(upstream), "--"]
    # A proxy in the environment must not be used for the loopback address.
    environment = os.environ | {"http_proxy": "http://127.0.0.1:1", "no_proxy": ""}
    assert subprocess.run([*run, sys.executable, "-c", code], env=environment, check=False).returncode == 7


@pytest.mark.parametrize(
    ("arguments", "says"), [([".", "--", "no-such"], "command not found: no-such"), (["x", "ls"], "folder not found")]
)
def test_command_that_cannot_run_is_named(arguments, says, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["server", *arguments])
    with pytest.raises(SystemExit, match=r"^2$"):
        server.main()
    assert says in capsys.readouterr().err


def test_nothing_outside_the_folder_is_served(upstream, folder):
    (upstream.parent / "secret").write_bytes(b"x")
    with serve(upstream) as address, pytest.raises(UserError, match="secret answered 404"):
        get({"urls": [f"{address}/%2e%2e/secret"]}, folder, name="secret")
