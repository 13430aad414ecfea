"""Reading one table of ``arkor.toml`` without its trainers, which report the file's problems themselves."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import read_small

from .limits import SIZE_LIMIT, TomlLimitError, check_limits
from .problems import FILE

if TYPE_CHECKING:
    from pathlib import Path


def load_table(project: Path, name: str) -> object:
    """Return the table ``name`` of the project's file, unchecked; None if it has none, or cannot be read."""
    try:
        text = read_small(project / FILE, SIZE_LIMIT).decode()
        check_limits(text)
        table: object = tomllib.loads(text).get(name)
        return table
    except (OSError, ValueError, RecursionError, TomlLimitError, BadRequestError):
        return None
