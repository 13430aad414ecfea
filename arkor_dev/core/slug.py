"""What a project is called, made from its folder's name: its slug, and its folder of data.

The slug's rules are docs/contract.md#scope.
"""

from __future__ import annotations

import re

LONGEST = 40


def slug_of(name: str) -> str:
    """The slug as the ``arkor`` CLI makes it, so that either finds the project that the other has created.

    Lower case, each UTF-16 unit that is not in ``[a-z0-9-]`` a dash, dashes trimmed, then cut to 40; else
    ``project``. The CLI takes a backslash for a separator of folders on every system.
    """
    pieces = [piece for piece in name.split("\\") if piece]
    units = (pieces[-1] if pieces else "").lower().encode("utf-16-le", "surrogatepass")
    text = "".join(chr(int.from_bytes(units[at : at + 2], "little")) for at in range(0, len(units), 2))
    return re.sub(r"[^a-z0-9-]", "-", text).strip("-")[:LONGEST] or "project"


def tidy_name(name: str) -> str:
    """Lower case, each run of anything but ``[a-z0-9-]`` one dash, trimmed, 40 at most; else ``project``.

    It names the local backend's folders, which stay where they are. Studio's slugs were once made so.
    """
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:LONGEST].strip("-") or "project"
