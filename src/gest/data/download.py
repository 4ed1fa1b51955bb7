"""Obtain one upstream file: use the one in place or download it, and verify it before it gets its final name.

An unfinished download lies beside the file as ``{name}.part``, owned by one process at a time. The address, size and
hash that figshare gave for an article are kept as ``{name}.lock.json``, so that later runs take the same file.
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
    """A file cannot be downloaded, or is not the expected one."""


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
    """Make sure that one upstream file is in place and is the right one.

    A file in place is never changed.

    Parameters
    ----------
    entry
        The file in ``config/datasets.yaml``: ``urls`` (tried in turn, environment variables expanded) or ``figshare``
        (an article in figshare's API), ``size`` in bytes, ``md5``, ``sha256``, and ``otherwise``, names of files that
        may be placed instead. Each may be null or missing.
    name, folder
        The file's name relative to the folder of its upstream set, and that folder.
    page, again
        For errors: the page where a person finds the file, and the command to run again.
    backoff
        Seconds of the first wait between attempts; each wait is twice the one before.
    timeout
        Seconds to wait for a connection, and for the next bytes.

    Returns
    -------
    dict
        The receipt: ``file`` (relative to `folder`), ``bytes``, ``sha256``, ``md5`` where one was expected, ``url`` (or
        "already there") and ``checked``, the keys of the entry that were compared.

    Raises
    ------
    UserError
        The file in place is a wrong one, no address is known or gives the right one, or it cannot be written.
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
    """Download the file while no other process does; return its receipt.

    The file then takes its final name.
    """
    out = folder / name
    part, lock, owner = (out.with_name(out.name + suffix) for suffix in (".part", ".lock.json", ".part.lock"))
    out.parent.mkdir(parents=True, exist_ok=True)
    # Another process may be downloading the same file: wait for it, and look for the file again.
    with FileLock(owner, fallback_to_soft=False):
        receipt = _find(entry, name, folder, again)
        if receipt is None:
            if entry.get("figshare") and not resolved:
                entry = {**entry, **_resolve(entry["figshare"], out.name, get)}
            receipt = _download(entry, name, part, get, backoff)
            if entry.get("figshare") and not resolved:
                _write_lock(lock, entry)
            os.replace(part, out)
        owner.unlink(missing_ok=True)
        return receipt


def _find(entry: Mapping[str, Any], name: str, folder: Path, again: str) -> dict[str, Any] | None:
    """Return the receipt of the file, or of the one placed instead, if any."""
    for candidate in (name, *(entry.get("otherwise") or ())):
        path = folder / candidate
        if path.is_file():
            try:
                # Size and hashes belong to `name`; a file in another format has others.
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
            for digest in hashes.values():
                digest.update(block)
    digests = {algorithm: digest.hexdigest() for algorithm, digest in hashes.items()}
    for algorithm, got in digests.items():
        if got != expected.get(algorithm, got).lower():
            raise _FileError(f"has the {algorithm} {got} (expected {expected[algorithm]})")
    return {"file": name, "bytes": size, **digests, "url": url, "checked": list(expected)}


def _download(
    entry: Mapping[str, Any], name: str, part: Path, get: Callable[..., requests.Response], backoff: float
) -> dict[str, Any]:
    """Download the right file to `part`; return its receipt.

    It comes from the first address that gives it.
    """
    if not (entry.get("md5") or entry.get("sha256")):
        # Without a hash, halves of two different files would go unnoticed.
        part.unlink(missing_ok=True)
    for address in entry["urls"]:
        url = os.path.expandvars(address)
        # A wrong file is fetched once more from the start: its beginning may come from an earlier run.
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
    """Ask figshare for the address, size and md5 of the article's file of this name."""
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
    try:
        kept = json.loads(lock.read_text())
        return {key: kept[key] for key in ("urls", "size", "md5")}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{lock}: cannot be read (expected urls, size and md5 of the file); remove it and run again: {again}"
        ) from error


def _write_lock(lock: Path, entry: Mapping[str, Any]) -> None:
    kept = {key: entry[key] for key in ("urls", "size", "md5")} | {"date": datetime.date.today().isoformat()}
    with whole_file(lock) as partial_lock:
        partial_lock.write_text(json.dumps(kept, indent=2) + "\n")
