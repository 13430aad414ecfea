"""The name of a machine that is reached over ssh, as a person writes it."""

from __future__ import annotations

import re
from typing import Final

from arkor_dev.contract.rules import Rule, text_line

SSH: Final = "ssh"
PYTHON: Final = "python"
"""The keys of ``[compute]`` in arkor.toml."""
# Nothing that ssh could read as an option, or a shell or a forwarding in another way.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}@)?[A-Za-z0-9][A-Za-z0-9._-]{0,252}")

SSH_HOST: Final = Rule(
    "other",
    noun='a host of your ssh configuration, such as "gpu-box" or "me@gpu-box"',
    test=lambda value: isinstance(value, str) and _HOST.fullmatch(value) is not None,
)
SSH_PYTHON: Final = text_line(500, "the path of a Python on that machine")
