"""Checks what a job is asked for, before the job exists.

Unknown fields are tolerated, since other backends know more of them. A value that is known and wrong is
refused by the field's name.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import FILLED, TEXT, Rule
from arkor_dev.contract.schema import Field, Schema, SchemaError, check
from arkor_dev.contract.settings import wire_problem
from arkor_dev.local.workers.errors import JobFailure

ADDRESS: Final = Rule(
    "other",
    noun="an address that begins with http:// or https://",
    test=lambda value: isinstance(value, str) and value.startswith(("http://", "https://")),
)
SOURCES: Final = {
    "file": Field("path", FILLED, needed=True),
    "huggingface": Field("name", FILLED, needed=True),
    "blob": Field("url", ADDRESS, needed=True),
}
"""The kinds of data sets, and the field that says which one."""
SOURCE: Final = Schema(
    (
        Field("type", Rule("choice", choices=tuple(SOURCES)), needed=True),
        *(Field(name, TEXT, null=True) for name in ("split", "subset", "token")),
    )
)

SET_BY_HAND: Final = Schema(
    (
        Field(
            "setByHand",
            Rule(
                "list", 0, 200, "a list of fields", test=lambda names: all(isinstance(n, str) for n in names)
            ),
            null=True,
        ),
    )
)


def check_config(config: object) -> dict[str, Any]:
    """Return ``config`` unchanged, or raise `BadRequestError` with the field and what it must be."""
    if not isinstance(config, dict):
        raise BadRequestError("config must be an object with model and datasetSource")
    problem = wire_problem(config)
    if problem is not None:
        raise BadRequestError(problem)
    where = "config.datasetSource"
    try:
        check(config, SET_BY_HAND, "config", "config.")
        source = check(config.get("datasetSource"), SOURCE, where, f"{where}.")
        check(source, Schema((SOURCES[source["type"]],)), where, f"{where}.")
    except SchemaError as fault:
        raise BadRequestError(str(fault)) from None
    return config


def inside(project: Path, path: str) -> Path:
    """The real path of a data file, which must lie in the project once symlinks are resolved."""
    root = project.resolve()
    try:
        # Pythons differ in what Path.resolve does with a loop of symlinks; the system's own answer is one.
        real = Path(os.path.realpath(root / path))
        if not real.is_relative_to(root):
            raise JobFailure(
                f"The data file {path!r} lies outside the project {root.name}: move it into the project"
            )
        regular = stat.S_ISREG(real.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise JobFailure(
            f"The data file {path!r} does not exist in the project {root.name}: check dataset's path"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise JobFailure(f"The data file {path!r} cannot be resolved: {reason}") from None
    if not regular:
        raise JobFailure(
            f"The data file {path!r} is not a file: name a .jsonl file with one JSON object a line"
        )
    return real
