"""Download over HTTP: resume after a dropped connection, and retry with increasing waits."""

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

ATTEMPTS = 6  # consecutive attempts without new bytes before giving up an address


def new_session(backoff: float) -> requests.Session:
    """Make a session that retries failed connections and answers 429 and 5xx."""
    retry = Retry(ATTEMPTS - 1, backoff_factor=backoff, status_forcelist=(429, *range(500, 600)), raise_on_status=False)
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    # The server must not compress the file for the transfer: the known hashes are those of the stored file.
    session.headers["Accept-Encoding"] = "identity"
    return session


def fetch(
    url: str, part: Path, name: str, size: int | None, get: Callable[..., requests.Response], backoff: float
) -> None:
    """Fetch the rest of `part`; give up after `ATTEMPTS` without new bytes."""
    furthest, idle = size_of(part), 0
    while True:
        try:
            return _transfer(url, part, name, size, get)
        except BrokenAnswer as error:
            idle = 0 if size_of(part) > furthest else idle + 1
            furthest = max(furthest, size_of(part))
            if idle == ATTEMPTS:
                raise
            log.warning("%s: %s %s after %d bytes", name, url, describe_error(error), size_of(part))
            time.sleep(backoff * 2**idle)


def _transfer(url: str, part: Path, name: str, size: int | None, get: Callable[..., requests.Response]) -> None:
    """Append the missing bytes to `part`.

    If the server ignores the requested range, write the file from the start.
    """
    start = size_of(part)
    if start == size:
        return
    with get(url, headers={"Range": f"bytes={start}-"} if start else {}, stream=True) as response:
        first, total = None, response.headers.get("Content-Length", "")
        if content_range := re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "")):
            first, total = content_range.groups()
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
            # Do not decode: some servers declare .gz files as encoded, and the client would unpack them.
            for block in response.raw.stream(1 << 18, decode_content=False):
                file.write(block)
                bar.update(len(block))
    if total is not None and size_of(part) < total:
        raise BrokenAnswer("dropped the connection")


def describe_error(error: Exception) -> str:
    """Describe in a few words how a request failed."""
    if isinstance(error, requests.HTTPError):
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.JSONDecodeError):
        return "did not answer with JSON"
    if isinstance(error, requests.ConnectionError):
        return "could not be reached"
    if "timed out" in str(error):
        return "stalled"
    return "dropped the connection" if "IncompleteRead" in str(error) else str(error)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 if it is missing."""
    return path.stat().st_size if path.exists() else 0
