"""Bytes over HTTP: resumed where the connection was dropped, and asked for again, with ever longer waits."""

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import HTTPError as BrokenAnswer

from gest.utils.progress import progress

log = logging.getLogger(__name__)

ATTEMPTS = 6  # in a row that may bring nothing new before an address is given up


def session(backoff: float) -> requests.Session:
    """Return a session that asks again where nothing answers, or 5xx or 429."""
    retry = Retry(ATTEMPTS - 1, backoff_factor=backoff, status_forcelist=(429, *range(500, 600)), raise_on_status=False)
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    # A compressed answer would be other bytes than those whose hash is known.
    session.headers["Accept-Encoding"] = "identity"
    return session


def fetch(
    url: str, part: Path, name: str, size: int | None, get: Callable[..., requests.Response], backoff: float
) -> None:
    """Fetch what `part` lacks, until too many attempts in a row got no further than any before them."""
    furthest, idle = length(part), 0
    while True:
        try:
            return _transfer(url, part, name, size, get)
        except BrokenAnswer as error:
            idle = 0 if length(part) > furthest else idle + 1
            furthest = max(furthest, length(part))
            if idle == ATTEMPTS:
                raise
            log.warning("%s: %s %s after %d bytes", name, url, reason(error), length(part))
            time.sleep(backoff * 2**idle)


def _transfer(url: str, part: Path, name: str, size: int | None, get: Callable[..., requests.Response]) -> None:
    """Add to `part` what it lacks, or write it anew where the server does not resume."""
    start = length(part)
    if start == size:
        return
    with get(url, headers={"Range": f"bytes={start}-"} if start else {}, stream=True) as response:
        first, total = None, response.headers.get("Content-Length", "")
        if given := re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "")):
            first, total = given.groups()
        if response.status_code == 416 and total == str(start):
            return
        if response.status_code == 416 or (response.status_code == 206 and first != str(start)):
            part.unlink(missing_ok=True)
            raise BrokenAnswer("did not resume where it was asked to")
        response.raise_for_status()
        total = int(total) if total.isdecimal() else size
        if size is not None and total != size:
            raise requests.RequestException(f"announced {total} bytes instead of {size}")
        start = start if response.status_code == 206 else 0
        bar = progress(total, "B", name, initial=start, unit_scale=True)
        with part.open("ab" if start else "wb") as file, bar:
            # Raw: a server that calls a .gz file encoded must not make the client unpack it.
            for block in response.raw.stream(1 << 18, decode_content=False):
                file.write(block)
                bar.update(len(block))
    if total is not None and length(part) < total:
        raise BrokenAnswer("dropped the connection")


def reason(error: Exception) -> str:
    """Say in a few words what the server did."""
    if isinstance(error, requests.HTTPError):
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.JSONDecodeError):
        return "did not answer with JSON"
    if isinstance(error, requests.ConnectionError):
        return "could not be reached"
    if "timed out" in str(error):
        return "stalled"
    return "dropped the connection" if "IncompleteRead" in str(error) else str(error)


def length(path: Path) -> int:
    """Bytes that are there."""
    return path.stat().st_size if path.exists() else 0
