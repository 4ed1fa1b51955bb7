"""Find the folder of a model, given as a folder, an archive, a URL or a name on the Hugging Face Hub.

`local_folder` fetches and unpacks anything but a local folder into a cache; `verify` compares the files with their
hashes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gest.errors import UserError, first_line
from gest.utils.files import whole_folder

SUMS = "SHA256SUMS"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


def local_folder(where: str | os.PathLike) -> Path:
    """Find the folder of a model, fetched and unpacked if needed, and verify it.

    Every file that `SHA256SUMS` lists is compared with its hash. A local folder and a repository of the Hub may lack
    `SHA256SUMS`; nothing is then verified.

    Parameters
    ----------
    where
        A folder; a `.zip` or `.tar` of a folder; the URL (http, https or file) of either; or `hf://OWNER/NAME`, a
        repository of the Hugging Face Hub. Archives and folders on the web must have `SHA256SUMS`; they are kept in
        `~/.cache/gest/models` (or under `XDG_CACHE_HOME`), keyed by the hash of that file.

    Raises
    ------
    UserError
        The model cannot be fetched, or a file has another hash than in `SHA256SUMS`; the message then names the file,
        the expected hash and the actual one.
    """
    address = urlsplit(str(where))
    if address.scheme == "hf":
        folder = _fetch_from_hub(address.netloc + address.path)
    elif address.scheme in ("http", "https"):
        folder = _fetch_from_web(str(where))
    else:
        folder = Path(unquote(address.path)) if address.scheme == "file" else Path(where)
        if folder.is_file() and folder.name.endswith(ARCHIVES):
            folder = _unpack(folder)
    if (folder / SUMS).is_file():
        verify(folder)
    return folder


def verify(folder: Path) -> None:
    """Compare every file that `SHA256SUMS` lists with its hash.

    Raises
    ------
    UserError
        A file is missing or has another hash.
    """
    for name, expected in _read_sums(folder / SUMS).items():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: file not found (listed in {SUMS}); get the model again.")
        if (got := sha256_of(folder / name)) != expected:
            raise UserError(
                f"{folder / name}: the sha256 is {got} ({SUMS} expects {expected}); get the model again, or repeat "
                "`gest export` if you changed it."
            )


def _read_sums(path: Path) -> Mapping[str, str]:
    """Read the hash of each file; refuse names that lead out of the folder."""
    sums: dict[str, str] = {}
    for line in path.read_text(errors="replace").splitlines():
        if not line.strip():
            continue
        fields = line.split(maxsplit=1)
        if len(fields) != 2 or len(fields[0]) != 64:
            raise UserError(f"{path}: unreadable line (expected a sha256 and a file name, as of `gest export`).")
        digest, name = fields[0], fields[1].lstrip("*")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{path}: '{name}' lies outside the model's folder; do not trust this model.")
        sums[name] = digest.lower()
    if not sums:
        raise UserError(f"{path}: the file is empty (expected a sha256 and a file name per line, as of `gest export`).")
    return sums


def sha256_of(path: Path) -> str:
    """Compute the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cached_folder(sums: Path) -> Path:
    """Return the folder in the cache for the model with this `SHA256SUMS` file."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "gest" / "models" / sha256_of(sums)[:16]


def _fetch_from_web(url: str) -> Path:
    """Fetch an archive, or all files of a folder that its `SHA256SUMS` lists."""
    with tempfile.TemporaryDirectory() as temporary:
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        if name.endswith(ARCHIVES):
            _fetch(url, Path(temporary, name))
            return _unpack(Path(temporary, name))
        base, sums = url.rstrip("/"), Path(temporary, SUMS)
        _fetch(f"{base}/{SUMS}", sums)
        cached = _cached_folder(sums)
        if not cached.is_dir():
            with whole_folder(cached, SUMS) as folder:
                for file, digest in _read_sums(sums).items():
                    _fetch(f"{base}/{file}", folder / file, sha256=digest)
                shutil.copy(sums, folder)
    return cached


def _fetch(url: str, out: Path, sha256: str | None = None) -> None:
    """Fetch one file; an error says which kind of URL is expected."""
    from gest.data.download import obtain

    try:
        obtain({"urls": [url], "sha256": sha256}, out.name, out.parent, page=url, again="", backoff=0.5)
    except UserError as error:
        reason = str(error).removeprefix(f"{out}: ").split("; run again")[0]
        raise UserError(
            f"{reason}; give the url of a folder that `gest export` wrote, or of a .zip or .tar of it."
        ) from error


def _unpack(archive: Path) -> Path:
    """Unpack an archive, which must hold one model, into the cache."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            if archive.suffix == ".zip":
                with zipfile.ZipFile(archive) as file:
                    file.extractall(temporary)
            else:
                with tarfile.open(archive) as file:
                    file.extractall(temporary, filter="data")
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
            raise UserError(f"{archive}: the archive cannot be unpacked ({error}); get it again.") from error
        sums = sorted(Path(temporary).rglob(SUMS))
        if len(sums) != 1:
            raise UserError(
                f"{archive}: the archive holds {len(sums)} files {SUMS} (expected 1, of an exported model); pack a "
                "folder that `gest export` wrote."
            )
        verify(sums[0].parent)
        cached = _cached_folder(sums[0])
        if not cached.is_dir():
            with whole_folder(cached, SUMS) as folder:
                shutil.copytree(sums[0].parent, folder, dirs_exist_ok=True)
    return cached


def _fetch_from_hub(name: str) -> Path:
    """Fetch a repository of the Hugging Face Hub into the cache of huggingface_hub."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise UserError(
            f"hf://{name}: the package huggingface_hub is not installed; install it with `pip install 'gest[hub]'`, or "
            "download the repository's files and give their folder."
        ) from error
    try:
        return Path(snapshot_download(name))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"hf://{name}: the repository cannot be fetched ({first_line(error)}); check OWNER/NAME and the connection "
            "to the internet, or download its files elsewhere and give their folder."
        ) from error
