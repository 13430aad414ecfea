"""Builds the command that adds extras of this package to this Python's environment.

Where packages can be added, it lists them by name; a tool that makes its environments from one requirement
gets that of this copy's origin. So no command takes this package's name to an index (see `origin`).
"""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from itertools import chain
from typing import Final

from .extras_table import REQUIREMENTS
from .origin import PACKAGE, Tool, extras_here, origin, owner

TORCH_BACKEND: Final = "--torch-backend=auto"
"""uv's option for the build of PyTorch that suits this machine."""


def requirements(*extras: str) -> list[str]:
    """Return what ``extras`` need, such as ``torch>=2.6,<3``; "" is the package's own."""
    return list(dict.fromkeys(chain.from_iterable(REQUIREMENTS[extra] for extra in extras)))


def quoted(*extras: str) -> str:
    """Return their requirements as arguments for a shell, of a machine that has another copy or none."""
    return shlex.join(requirements(*extras))


def install_command(*extras: str, torch_backend: bool = False) -> str:
    """Return the command for ``extras``, names of ``[project.optional-dependencies]``; quoted for a shell.

    With ``torch_backend`` uv chooses PyTorch's build for this machine, if the environment's owner allows it.
    """
    return " && ".join(map(shlex.join, install_commands(*extras, torch_backend=torch_backend)))


def install_commands(*extras: str, torch_backend: bool = False) -> tuple[tuple[str, ...], ...]:
    """Return the same as lists of arguments, to be run one after the other."""
    needs = requirements(*extras)
    uv_options = (TORCH_BACKEND,) if torch_backend else ()
    pip = (sys.executable, "-m", "pip", "install")
    match owner():
        case Tool.UV_TOOL:
            return ((*tool_install(), *uv_options, _with_these(extras)),)
        case Tool.UVX:
            return (("uvx", *uv_options, "--from", _with_these(extras), PACKAGE),)
        case Tool.PIPX_RUN:
            return (("pipx", "run", "--spec", _with_these(extras), PACKAGE),)
        case Tool.PIPX:
            return (("pipx", "inject", PACKAGE, *needs),)
        case Tool.UV:
            return (("uv", "pip", "install", "--python", sys.executable, *uv_options, *needs),)
    seed = () if find_spec("pip") else ((sys.executable, "-m", "ensurepip"),)
    if torch_backend:
        uv = (sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable)
        return (*seed, (*pip, "uv"), (*uv, TORCH_BACKEND, *needs))
    return (*seed, (*pip, *needs))


def tool_install() -> tuple[str, ...]:
    """Return how ``uv tool`` makes an environment anew, with the packages that were added to it."""
    import tomllib
    from pathlib import Path

    receipt = tomllib.loads((Path(sys.prefix) / "uv-receipt.toml").read_text(encoding="utf-8"))
    listed = receipt.get("tool", {}).get("requirements", ())
    added = [_receipt_entry(each) for each in listed if each.get("name") != PACKAGE]
    editable = ("--editable",) if origin().kind == "editable" else ()
    return ("uv", "tool", "install", *(f"--with={entry}" for entry in added), *editable)


def _receipt_entry(entry: dict[str, object]) -> str:
    for key in ("path", "directory", "editable", "url"):
        if key in entry:
            return str(entry[key])
    return f"git+{entry['git']}" if "git" in entry else f"{entry.get('name')}{entry.get('specifier', '')}"


def _with_these(extras: tuple[str, ...]) -> str:
    return origin().requirement(tuple(dict.fromkeys((*extras_here(), *extras))))
