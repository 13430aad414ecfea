"""What a machine has of what training and a shared store need. Runs on the nodes."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import platform
from importlib import metadata
from typing import Final

from arkor_dev.local.cluster.storage.node_share import WAYS

NEEDED: Final = ("torch", "transformers", "peft")


def facts() -> bytes:
    """It as JSON: ``{python, versions, missing}``."""
    versions = {}
    for name in (*NEEDED, *WAYS):
        with contextlib.suppress(metadata.PackageNotFoundError):
            if importlib.util.find_spec(name) is not None:
                versions[name] = metadata.version(name)
    missing = [name for name in NEEDED if name not in versions]
    told = {"python": platform.python_version(), "versions": versions, "missing": missing}
    return json.dumps(told).encode()
