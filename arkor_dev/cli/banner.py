"""The first lines that ``arkor-dev`` prints: Studio's address, the project and its backend.

Written without rich, whose import takes 50 ms, so that the address appears as soon as the page is served.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from arkor_dev import __version__
from arkor_dev.core.plain_text import one_line
from arkor_dev.core.settings import DEFAULT_PORT

from .standard_error import StandardError

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings

LONGEST: Final = 500
BOLD, DIM, YELLOW, UNDERLINED, END = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[1;4m", "\x1b[0m"


def banner(settings: Settings, port: int) -> None:
    """Write the lines to standard error, in colour if it is a terminal (see https://no-color.org)."""
    backend = "this machine (local training)" if settings.local else "the managed backend"
    if settings.ssh is not None:
        backend = f"{settings.ssh} (over ssh)"
    lines = []
    if settings.port is None and port != DEFAULT_PORT:
        lines.append(styled(f"Port {DEFAULT_PORT} is taken; using {port}, the next free one.", YELLOW))
    lines += [
        f"{styled('Arkor Studio', BOLD)}  {__version__}",
        f"{styled('  Studio   ', DIM)}{styled(f'http://localhost:{port}', UNDERLINED)}",
        f"{styled('  Project  ', DIM)}{one_line(settings.project, LONGEST)}",
        f"{styled('  Backend  ', DIM)}{backend}",
        styled("  Press Ctrl-C to stop.", DIM),
    ]
    error = StandardError()
    error.write("\n".join([*lines, ""]))
    error.flush()


def styled(text: str, style: str) -> str:
    """Style ``text`` if standard error supports it."""
    shows = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return f"{style}{text}{END}" if shows and not os.environ.get("NO_COLOR") else text
