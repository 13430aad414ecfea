"""Builds the command that installs an extra of this package into this Python's environment.

It lists the extra's packages by name, since this package may not be on any index.
"""

from __future__ import annotations

import shlex
import sys

PACKAGE = "arkor-dev"


def install_command(extra: str) -> str:
    """Return the command for ``extra``, a name of ``[project.optional-dependencies]``; quoted for a shell."""
    from importlib.metadata import PackageNotFoundError, distribution
    from importlib.util import find_spec

    mark, needs, by_uv = f'extra == "{extra}"', list[str](), False
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:  # run from a clone that was never installed
        pass
    else:
        by_uv = (installed.read_text("INSTALLER") or "").strip() == "uv"
        for requirement in installed.requires or ():
            name, _, marker = requirement.replace("'", '"').partition(";")
            if mark in marker:
                needs.append(name.strip())
    requirements = " ".join(map(shlex.quote, needs or [f"{PACKAGE}[{extra}]"]))
    python = shlex.quote(sys.executable)
    if by_uv:
        return f"uv pip install --python {python} {requirements}"
    if find_spec("pip") is None:
        return f"{python} -m ensurepip && {python} -m pip install {requirements}"
    return f"{python} -m pip install {requirements}"
