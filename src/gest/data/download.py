"""Obtain one upstream file: verify it if it exists; otherwise download it, and verify it before naming it.

An unfinished download is stored next to the file as ``{name}.part``, which one process at a time writes. For a file on
figshare, address, size and hash are stored in ``{name}.lock.json``, so that later runs use the same version.
"""

import datetime
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock
from urllib3.exceptions import HTTPError as BrokenAnswer

from gest.data.http import describe_error, fetch, new_session, size_of
from gest.errors import UserError
from gest.utils.files import whole_file

log = logging.getLogger(__name__)


class _FileError(Exception):
    """A file that cannot be downloaded, or is not the expected one."""


def obtain(
    entry: Mapping[str, Any],
    name: str,
    folder: str | Path,
    *,
    page: str,
    again: str,
    backoff: float = 2.0,
    timeout: tuple[float, float] = (20.0, 60.0),
) -> dict[str, Any]:
    """Make sure that one upstream file exists and is the expected one.

    An existing file is verified and never changed; a missing one is downloaded.

    Parameters
    ----------
    entry
        The file's entry in ``config/datasets.yaml``: ``urls`` (tried in turn, environment variables expanded) or
        ``figshare`` (address of an article in figshare's API), ``size`` in bytes, ``md5``, ``sha256``, and
        ``otherwise`` (names of files that may replace it). Each may be null or missing.
    name, folder
        The file's name relative to the folder of its upstream set, and that folder.
    page, again
        For error messages: the web page of the file, and the command to run again.
    backoff
        Seconds to wait after the first failed attempt; each further wait is twice as long.
    timeout
        Seconds to wait for a connection, and for the next bytes.

    Returns
    -------
    dict
        The receipt: ``file`` (relative to `folder`), ``bytes``, ``sha256``, ``md5`` (if the entry has one), ``url`` (or
        "already there") and ``checked``, the keys of the entry with which the file was compared.

    Raises
    ------
    UserError
        The existing file is not the expected one, no address is known, no address serves the expected file, or the file
        cannot be written.
    """
    folder, out = Path(folder), Path(folder, name)
    lock = out.with_name(f"{out.name}.lock.json")
    names = " or ".join((name, *(entry.get("otherwise") or ())))
    remedy = f"get it from {page} and place it in {folder} as {names}"
    resolved = bool(entry.get("figshare")) and lock.is_file()
    if resolved:
        entry = {**entry, **_read_lock(lock, again)}
        remedy = f"remove {lock} to look up the article again, or {remedy}"
    if receipt := _find(entry, name, folder, again):
        return receipt
    if not (entry.get("urls") or entry.get("figshare")):
        raise UserError(
            f"{out}: file not found, and no address to download it from is known; {remedy}, then run: {again}"
        )
    get = partial(new_session(backoff).get, timeout=timeout)
    try:
        return _download_alone(entry, name, folder, again, get, backoff, resolved=resolved)
    except _FileError as failure:
        raise UserError(f"{out}: {failure}; run again: {again}, or {remedy}") from failure
    except OSError as error:
        part = out.with_name(f"{out.name}.part")
        missing = f"{entry['size'] - size_of(part)} more" if entry.get("size") else "an unknown number of"
        raise UserError(
            f"{out}: cannot be written ({error.strerror or error}; {missing} bytes are needed); make room in "
            f"{out.parent}, or make that folder writable, and run again: {again}"
        ) from error


def _download_alone(
    entry: Mapping[str, Any],
    name: str,
    folder: Path,
    again: str,
    get: Callable[..., requests.Response],
    backoff: float,
    *,
    resolved: bool,
) -> dict[str, Any]:
    """Download the file while other processes wait; return its receipt.

    The file gets its final name only if it is the expected one.
    """
    out = folder / name
    part, lock, part_lock = (out.with_name(out.name + suffix) for suffix in (".part", ".lock.json", ".part.lock"))
    out.parent.mkdir(parents=True, exist_ok=True)
    # Another process may be downloading the same file: wait until it ends, then check whether the file exists.
    with FileLock(part_lock, fallback_to_soft=False):
        receipt = _find(entry, name, folder, again)
        if receipt is None:
            if entry.get("figshare") and not resolved:
                entry = {**entry, **_resolve(entry["figshare"], out.name, get)}
            receipt = _download(entry, name, part, get, backoff)
            if entry.get("figshare") and not resolved:
                _write_lock(lock, entry)
            os.replace(part, out)
        part_lock.unlink(missing_ok=True)
        return receipt


def _find(entry: Mapping[str, Any], name: str, folder: Path, again: str) -> dict[str, Any] | None:
    """Return the receipt of the existing file or alternative; None if neither exists."""
    for candidate in (name, *(entry.get("otherwise") or ())):
        path = folder / candidate
        if path.is_file():
            try:
                # The entry's size and hashes apply to `name` only; an alternative is accepted unless it is empty.
                return _receipt(path, candidate, entry if candidate == name else {}, "already there")
            except _FileError as failure:
                raise UserError(f"{path}: the file in place {failure}; remove it and run again: {again}") from failure
    return None


def _receipt(path: Path, name: str, entry: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Read the file once, compare it with its entry, and describe it."""
    expected = {key: entry[key] for key in ("size", "md5", "sha256") if entry.get(key) is not None}
    size = path.stat().st_size
    if size == 0 or size != expected.get("size", size):
        raise _FileError(f"has {size} bytes (expected {expected.get('size', 'more')})")
    hashes = {"sha256": hashlib.sha256()}
    if "md5" in expected:
        hashes["md5"] = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            for algorithm_hash in hashes.values():
                algorithm_hash.update(block)
    digests = {algorithm: algorithm_hash.hexdigest() for algorithm, algorithm_hash in hashes.items()}
    for algorithm, digest in digests.items():
        if digest != expected.get(algorithm, digest).lower():
            raise _FileError(f"has the {algorithm} {digest} (expected {expected[algorithm]})")
    return {"file": name, "bytes": size, **digests, "url": url, "checked": list(expected)}


def _download(
    entry: Mapping[str, Any], name: str, part: Path, get: Callable[..., requests.Response], backoff: float
) -> dict[str, Any]:
    """Download the expected file to `part`; return its receipt.

    Addresses are tried in turn until one gives the expected file.
    """
    if not (entry.get("md5") or entry.get("sha256")):
        # Without a hash, a download resumed from another file's beginning would go unnoticed: start from zero.
        part.unlink(missing_ok=True)
    for address in entry["urls"]:
        url = os.path.expandvars(address)
        # If the file is wrong, fetch it once more from the start: its beginning may come from an earlier run.
        for _ in range(2):
            try:
                fetch(url, part, name, entry.get("size"), get, backoff)
                return _receipt(part, name, entry, address)
            except _FileError as error:
                part.unlink()
                failure = _FileError(f"the file from {url} {error}")
                log.warning("%s: %s", name, failure)
            except (requests.RequestException, BrokenAnswer) as error:
                failure = _FileError(f"{url} {describe_error(error)}")
                log.warning("%s: %s", name, failure)
                break
    raise failure


def _resolve(api: str, name: str, get: Callable[..., requests.Response]) -> dict[str, Any]:
    """Look up the address, size and md5 of a file in a figshare article."""
    url = os.path.expandvars(api)
    try:
        response = get(url)
        response.raise_for_status()
        file = {file["name"]: file for file in response.json()["files"]}[name]
        md5 = file.get("computed_md5") or file.get("supplied_md5") or None
        return {"urls": [str(file["download_url"])], "size": int(file["size"]), "md5": md5}
    except requests.RequestException as error:
        raise _FileError(f"{url} {describe_error(error)} (expected figshare's description of an article)") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _FileError(f"{url} lacks {name} with download_url, computed_md5 and size ({error!r})") from error


def _read_lock(lock: Path, again: str) -> dict[str, Any]:
    """Read the address, size and md5 that an earlier run used."""
    try:
        locked = json.loads(lock.read_text())
        return {key: locked[key] for key in ("urls", "size", "md5")}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{lock}: cannot be read (expected urls, size and md5 of the file); remove it and run again: {again}"
        ) from error


def _write_lock(lock: Path, entry: Mapping[str, Any]) -> None:
    """Record the address, size and md5 for later runs."""
    locked = {key: entry[key] for key in ("urls", "size", "md5")} | {"date": datetime.date.today().isoformat()}
    with whole_file(lock) as partial_lock:
        partial_lock.write_text(json.dumps(locked, indent=2) + "\n")
