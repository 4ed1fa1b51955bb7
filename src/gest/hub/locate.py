"""Models to share: a folder with hashes and a model card; and models taken from a folder, an archive, a url, a hub."""

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
    """Find the folder of a model, fetched and unpacked if need be, and verify it where it has `SHA256SUMS`.

    Parameters
    ----------
    where
        A folder; a `.zip` or `.tar` of one; the address (http, https or file) of either; or `hf://OWNER/NAME`, a
        repository of the Hugging Face Hub. What is not a folder of this machine is kept in `~/.cache/gest/models`
        (`XDG_CACHE_HOME`) by its hash, and must have `SHA256SUMS`.

    Raises
    ------
    UserError
        It cannot be had, or a file has another hash than `SHA256SUMS` says; the message names file, expected and got.
    """
    address = urlsplit(str(where))
    if address.scheme == "hf":
        folder = _from_hub(address.netloc + address.path)
    elif address.scheme in ("http", "https"):
        return _from_web(str(where))
    else:
        folder = Path(unquote(address.path)) if address.scheme == "file" else Path(where)
        if folder.is_file() and folder.name.endswith(ARCHIVES):
            return _unpacked(folder)
    if (folder / SUMS).is_file():
        verify(folder)
    return folder


def verify(folder: Path) -> None:
    """Compare every file that `SHA256SUMS` lists with its hash.

    Raises
    ------
    UserError
        A file is missing or is another one.
    """
    for name, expected in _sums(folder / SUMS).items():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: this file is missing, which {SUMS} lists; get the model anew.")
        if (got := sha256_of(folder / name)) != expected:
            raise UserError(
                f"{folder / name}: has the sha256 {got}, where {SUMS} expects {expected}; get the model anew, or "
                "export it anew if the change is yours."
            )


def _sums(path: Path) -> Mapping[str, str]:
    """Read `SHA256SUMS`: name to hash; names lead nowhere but below its folder."""
    lines = [line.split(maxsplit=1) for line in path.read_text(errors="replace").splitlines() if line.strip()]
    if not lines or any(len(line) != 2 or len(line[0]) != 64 for line in lines):
        raise UserError(f"{path}: these are no lines of sha256 and file name, as `gest export` writes them.")
    names = [name.lstrip("*") for _, name in lines]
    if outside := [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise UserError(f"{path}: '{outside[0]}' is no file of the model's folder; do not trust this model.")
    return dict(zip(names, (digest.lower() for digest, _ in lines), strict=True))


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gest" / "models"


def _from_web(url: str) -> Path:
    """Fetch an archive, or `SHA256SUMS` below the address of a folder and all files that it lists."""
    with tempfile.TemporaryDirectory() as temporary:
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        if name.endswith(ARCHIVES):
            _fetch(url, Path(temporary, name))
            return _unpacked(Path(temporary, name))
        base, sums = url.rstrip("/"), Path(temporary, SUMS)
        _fetch(f"{base}/{SUMS}", sums)
        kept = _cache() / sha256_of(sums)[:16]
        if not kept.is_dir():
            with whole_folder(kept, SUMS) as folder:
                for file, digest in _sums(sums).items():
                    _fetch(f"{base}/{file}", folder / file, sha256=digest)
                shutil.copy(sums, folder)
    verify(kept)
    return kept


def _fetch(url: str, out: Path, sha256: str | None = None) -> None:
    from gest.data.download import obtain

    try:
        obtain({"urls": [url], "sha256": sha256}, out.name, out.parent, page=url, again="", backoff=0.5)
    except UserError as error:
        told = str(error).removeprefix(f"{out}: ").split("; run again")[0]
        raise UserError(
            f"{told}; name the address of a folder that `gest export` wrote, or of a .zip or .tar of it."
        ) from error


def _unpacked(archive: Path) -> Path:
    """Unpack the one model of an archive."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            if archive.suffix == ".zip":
                with zipfile.ZipFile(archive) as file:
                    file.extractall(temporary)
            else:
                with tarfile.open(archive) as file:
                    file.extractall(temporary, filter="data")
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
            raise UserError(f"{archive}: this archive cannot be unpacked ({error}); get it anew.") from error
        found = sorted(Path(temporary).rglob(SUMS))
        if len(found) != 1:
            raise UserError(
                f"{archive}: there are {len(found)} files {SUMS} in this archive, where the one of an exported model "
                "is expected; make it of a folder that `gest export` wrote."
            )
        verify(found[0].parent)
        kept = _cache() / sha256_of(found[0])[:16]
        if not kept.is_dir():
            with whole_folder(kept, SUMS) as folder:
                shutil.copytree(found[0].parent, folder, dirs_exist_ok=True)
    verify(kept)
    return kept


def _from_hub(name: str) -> Path:
    """Take a repository of the Hugging Face Hub, which its own package fetches and keeps."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise UserError(
            f"hf://{name}: this needs the package huggingface_hub, which is not installed; get it with "
            "`pip install 'gest[hub]'`, or download the repository's files and name their folder."
        ) from error
    try:
        return Path(snapshot_download(name))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"hf://{name}: this repository cannot be had ({first_line(error)}); check OWNER/NAME and the connection "
            "to the internet, or download its files elsewhere and name their folder."
        ) from error
