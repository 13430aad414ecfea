"""Registers an export in a local Ollama."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

OLLAMA: Final = "ollama"
CREATE_SECONDS: Final = 3600


def create_in_ollama(folder: Path, name: str) -> str | None:
    """Create the model ``name`` in Ollama; return a sentence on the outcome, or None without Ollama."""
    program = shutil.which(OLLAMA)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "create", name, "-f", str(folder / "Modelfile")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CREATE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"Ollama rejected it: {error}"
    if done.returncode:
        messages = done.stderr.decode(errors="replace").strip().splitlines()
        return f"Ollama rejected it: {messages[-1] if messages else f'exit status {done.returncode}'}"
    return f"Added to Ollama as {name}: ollama run {name}"
