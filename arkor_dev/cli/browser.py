"""Opens an address in the default browser and reports whether that worked.

Runs the browser from a separate process: it may print, wait for its last window or receive the terminal's
Ctrl-C, none of which should affect Studio's terminal.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Final

# Without a display Python would start a text browser, which has no terminal here.
OPEN: Final = """
import os, sys, webbrowser
seen = sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
sys.exit(not (seen and webbrowser.open(sys.argv[1])))
"""
WAIT: Final = 3.0
"""Seconds after which a browser that has not failed counts as open."""


async def open_browser(address: str) -> bool:
    """Open ``address``; return False if no browser could be started."""
    try:
        process = subprocess.Popen(  # noqa: ASYNC220 (it is not waited for here)
            [sys.executable, "-I", "-c", OPEN, address], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return False
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT
    while process.poll() is None and loop.time() < deadline:  # noqa: ASYNC110 (it reports to nobody else)
        await asyncio.sleep(0.05)
    return not process.returncode
