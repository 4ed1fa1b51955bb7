"""A loopback HTTP server over a folder, which can misbehave as real ones do.

``python -m gest.testing.server FOLDER -- COMMAND ARGS...`` runs a command with the server's address in the
environment variable ``GEST_FIXTURES``. Files that end in ``.gz`` are called encoded, as Apache does. What lies under
``v2/articles`` stands for figshare's API: ``$GEST_FIXTURES`` in it becomes the server's address.
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
DROPPED_AT = 0.7  # of what a request asks for, where the connection is dropped or stalls


@contextmanager
def serve(
    folder: str | Path,
    faults: Mapping[str, Sequence[str | int]] | None = None,
    answers: list[dict[str, Any]] | None = None,
) -> Iterator[str]:
    """Serve a folder on a free port of 127.0.0.1, and yield the address, as ``http://127.0.0.1:PORT``.

    Parameters
    ----------
    folder
        What is served.
    faults
        A file's name relative to `folder`, to what goes wrong with its first, second, ... request; later requests are
        answered well. A fault is a status such as 404 or 503, or a text with one or more of "drop" (the connection ends
        at 70 %), "stall" (nothing comes after 70 %), "ignore range", "shift range" (it begins at 0 and says so), "no
        length" (how much will come is not announced), and "wrong bytes" (one in the middle is another).
    answers
        Gets one dict per answer: path, status, and the bytes sent of the file.
    """
    folder, over = Path(folder).resolve(), threading.Event()
    pending = {name: list(kinds) for name, kinds in (faults or {}).items()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = (folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
            name = str(path.relative_to(folder)) if path.is_relative_to(folder) else ""
            fault = pending[name].pop(0) if pending.get(name) else ""
            if isinstance(fault, int) or not (name and path.is_file()):
                return self.answer(fault or 404, b"", "")
            content = path.read_bytes()
            if name.startswith("v2/articles/"):
                content = content.replace(PLACEHOLDER.encode(), address.encode())
            if "wrong bytes" in fault:
                middle = len(content) // 2
                content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if asked is None or "ignore range" in fault:
                return self.answer(200, content, fault)
            start, size = 0 if "shift range" in fault else int(asked[1]), len(content)
            if start >= size:
                return self.answer(416, b"", "", {"Content-Range": f"bytes */{size}"})
            self.answer(206, content[start:], fault, {"Content-Range": f"bytes {start}-{size - 1}/{size}"})

        def answer(self, status: int, body: bytes, fault: str, headers: Any = ()) -> None:
            sent = body[: int(len(body) * DROPPED_AT)] if "drop" in fault or "stall" in fault else body
            if answers is not None:
                answers.append({"path": self.path, "status": status, "bytes": len(sent)})
            self.send_response(status)
            for key, value in dict(headers).items():
                self.send_header(key, value)
            if "no length" not in fault:
                self.send_header("Content-Length", str(len(body)))
            if self.path.endswith(".gz"):
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            # A client that has gone away is no fault of the server's.
            with suppress(ConnectionError):
                self.wfile.write(sent)
            if "stall" in fault:
                over.wait()

        def log_message(self, *_: Any) -> None:
            """Be quiet: `answers` has it all."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        over.set()
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
        parser.error(f"{arguments.folder} is no folder; name the one to serve")
    if shutil.which(arguments.command[0]) is None:
        parser.error(f"there is no command {arguments.command[0]}; name one after --")
    with serve(arguments.folder) as address:
        # A proxy would not find the loopback.
        direct = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1"]
        environment = os.environ | {"GEST_FIXTURES": address, "no_proxy": ",".join(filter(None, direct))}
        status = subprocess.call(arguments.command, env=environment)
    # A command that a signal ended has that signal's negative number; shells add 128.
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
