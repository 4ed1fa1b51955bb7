"""Turn training sections into tokens, one after the other.

Training on `Tokens` needs only torch and numpy. Code that reads sections needs more packages, and is imported only when
a section is passed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gest.config import Config
from gest.errors import UserError, naming
from gest.windows import Tokens

if TYPE_CHECKING:
    from gest.vocabulary import Vocabulary


def as_tokens(sections: Sequence[Any], vocabulary: Vocabulary, config: Config, folder: Path) -> list[Tokens]:
    """Tokenise sections one by one.

    Sections given by path are read one at a time, so that memory holds only one of them besides the tokens.

    Parameters
    ----------
    sections
        Sections, paths of section files, or `Tokens`, which are returned as they are.
    folder
        Folder in which the sections' expression is kept for a model without quantisation.

    Raises
    ------
    UserError
        A section cannot be read or tokenised, or `Tokens` lack the expression that a model without quantisation needs.
    """
    return [_tokens_of(section, vocabulary, config.model.quantised, folder) for section in sections]


def _tokens_of(section: Any, vocabulary: Vocabulary, quantised: bool, folder: Path) -> Tokens:
    if isinstance(section, Tokens):
        if section.expression is None and not quantised:
            raise UserError(
                "pretrain: the tokens of a section have no expression, which a model without quantisation learns from; "
                "pass the section itself, or `Tokens` with `expression`."
            )
        return section
    from gest.data.tokenize import tokenize
    from gest.sections import read_section

    adata = read_section(section) if isinstance(section, str | os.PathLike) else section
    with naming(section):
        return tokenize(adata, vocabulary, None if quantised else folder)
