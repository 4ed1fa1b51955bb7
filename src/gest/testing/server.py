"""Serve a folder over HTTP on this machine, and imitate the faults of real servers.

``python -m gest.testing.server FOLDER -- COMMAND ARGS...`` runs a command with the server's address in the
environment variable ``GEST_FIXTURES``. Files that end in ``.gz`` are declared as encoded, as Apache does. Files under
``v2/articles`` imitate figshare's API: ``$GEST_FIXTURES`` in them is replaced by the server's address.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

PLACEHOLDER = "$GEST_FIXTURES"
DROPPED_AT = 0.7  # share of the requested bytes after which the connection is dropped or stalls


class _Server(ThreadingHTTPServer):
    """A server of one folder that fails on request and records its answers."""

    def __init__(
        self, folder: Path, faults: Mapping[str, Sequence[str | int]], answers: list[dict[str, Any]] | None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.answers, self.over = folder, answers, threading.Event()
        self.faults = {name: list(kinds) for name, kinds in faults.items()}
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer with the requested file or range, or with the file's next fault."""
        folder, faults = self.server.folder, self.server.faults
        path = (folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else ""
        fault = faults[name].pop(0) if faults.get(name) else ""
        if isinstance(fault, int) or not (name and path.is_file()):
            return self._answer(fault or 404, b"", "")
        content = path.read_bytes()
        if name.startswith("v2/articles/"):
            content = content.replace(PLACEHOLDER.encode(), self.server.address.encode())
        if "wrong bytes" in fault:
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        requested = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if requested is None or "ignore range" in fault:
            return self._answer(200, content, fault)
        start, size = 0 if "shift range" in fault else int(requested[1]), len(content)
        if start >= size:
            return self._answer(416, b"", "", {"Content-Range": f"bytes */{size}"})
        self._answer(206, content[start:], fault, {"Content-Range": f"bytes {start}-{size - 1}/{size}"})

    def _answer(self, status: int, body: bytes, fault: str, headers: Mapping[str, str] | None = None) -> None:
        sent = body[: int(len(body) * DROPPED_AT)] if "drop" in fault or "stall" in fault else body
        if self.server.answers is not None:
            self.server.answers.append({"path": self.path, "status": status, "bytes": len(sent)})
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if "no length" not in fault:
            self.send_header("Content-Length", str(len(body)))
        if self.path.endswith(".gz"):
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        # The client may have closed the connection.
        with suppress(ConnectionError):
            self.wfile.write(sent)
        if "stall" in fault:
            self.server.over.wait()

    def log_message(self, *_: Any) -> None:
        """Log nothing; `answers` records every answer."""


@contextmanager
def serve(
    folder: str | Path,
    faults: Mapping[str, Sequence[str | int]] | None = None,
    answers: list[dict[str, Any]] | None = None,
) -> Iterator[str]:
    """Serve a folder on a free port, and yield the address.

    The address is ``http://127.0.0.1:PORT``.

    Parameters
    ----------
    folder
        The folder to serve.
    faults
        Maps a file's name relative to `folder` to the faults of its first, second, ... request; later requests are
        answered correctly. A fault is a status such as 404 or 503, or a text with one or more of "drop" (the connection
        ends at 70 %), "stall" (nothing is sent after 70 %), "ignore range", "shift range" (the answer begins at byte 0
        and says so), "no length" (the length is not announced), and "wrong bytes" (one byte in the middle differs).
    answers
        A list to which each answer is appended as a dict: path, status, and number of bytes sent.
    """
    server = _Server(Path(folder).resolve(), faults or {}, answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> int:
    """Run a command beside the server; return the command's exit status."""
    parser = argparse.ArgumentParser(prog="python -m gest.testing.server", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="folder to serve")
    parser.add_argument("command", nargs="+", help="command and its arguments, after --")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder}: folder not found; name the one to serve")
    if shutil.which(arguments.command[0]) is None:
        parser.error(f"command not found: {arguments.command[0]}; name one after --")
    with serve(arguments.folder) as address:
        # Requests to the loopback address must not go through a proxy.
        direct = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1"]
        environment = os.environ | {"GEST_FIXTURES": address, "no_proxy": ",".join(filter(None, direct))}
        status = subprocess.call(arguments.command, env=environment)
    # If a signal ended the command, subprocess returns the negative signal number; shells return 128 plus the number.
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
