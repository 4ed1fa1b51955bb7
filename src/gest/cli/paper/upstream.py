"""Steps that provide upstream files: download real ones, or simulate those of the toy run."""

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from gest.cli.app import log, steps
from gest.cli.options import read_config, write_whole
from gest.errors import UserError


@steps.command()
def download(
    name: Annotated[str, Argument(help="Path of the file in the folder of its set.")],
    folder: Annotated[
        Path, Option(help="Folder of the set; a file that is there already is verified, not downloaded.")
    ],
    entry: Annotated[str, Option(help="The file's entry of config/datasets.yaml, as JSON or a JSON or YAML file.")],
    receipt: Annotated[Path, Option(help="JSON to write: size and hashes of the verified file.")],
    page: Annotated[str, Option(help="Web page where a person finds the file, for error messages.")],
    again: Annotated[str, Option(help="Command that resumes the download, for error messages.")] = "the same command",
) -> None:
    """Download an upstream file, or resume it, and verify it."""
    from gest.data.download import obtain

    try:
        expected = json.loads(entry) if entry.lstrip().startswith("{") else read_config(Path(entry))
    except json.JSONDecodeError as error:
        raise UserError(f"download: --entry is not JSON ({error}); give an entry of config/datasets.yaml.") from error
    verified = obtain(expected, name, folder, page=page, again=again)
    write_whole(receipt, lambda path: path.write_text(json.dumps(verified, indent=2) + "\n"))
    checks = ", ".join(verified["checked"]) or "no size or hash is known"
    log.info("%s: verified (%s)", folder / verified["file"], checks)


@steps.command()
def fixtures(
    config: Annotated[Path, Option(help="JSON that describes the simulated tissue and its sections.")],
    out: Annotated[Path, Option(help="Folder to write.")],
) -> None:
    """Simulate the upstream files of the toy run."""
    from gest.testing import write_upstream
    from gest.utils.files import whole_folder

    with whole_folder(out) as partial:
        write_upstream(partial, read_config(config))
