"""The slug of a project, made from its folder's name (CONTRACT §1)."""

from __future__ import annotations

import re


def slug_of(name: str) -> str:
    """Lower case, each run of anything but ``[a-z0-9-]`` one dash, trimmed, 40 at most; else ``project``."""
    slug = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:40].strip("-")
    return slug or "project"
