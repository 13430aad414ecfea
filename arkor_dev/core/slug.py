"""Names derived from a project's folder: its slug, and the folder of its data.

The rules of slugs are docs/contract.md#scope.
"""

from __future__ import annotations

import re

LONGEST = 40


def slug_of(name: str) -> str:
    """Return the slug as the ``arkor`` CLI makes it, so that each finds the other's projects.

    Lower case, a dash for each UTF-16 unit that is not in ``[a-z0-9-]``, dashes trimmed, cut to 40; else
    ``project``. The CLI treats a backslash as a separator of folders on every system.
    """
    pieces = [piece for piece in name.split("\\") if piece]
    units = (pieces[-1] if pieces else "").lower().encode("utf-16-le", "surrogatepass")
    text = "".join(chr(int.from_bytes(units[at : at + 2], "little")) for at in range(0, len(units), 2))
    return re.sub(r"[^a-z0-9-]", "-", text).strip("-")[:LONGEST] or "project"


def tidy_name(name: str) -> str:
    """Return ``name`` in lower case, a dash for each run of other than ``[a-z0-9-]``, trimmed, at most 40;
    else ``project``.

    It names the local backend's folders, which must not change.
    """
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:LONGEST].strip("-") or "project"
