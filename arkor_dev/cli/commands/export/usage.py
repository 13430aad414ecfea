"""Prints commands that use an export in other programs, and registers it in a local Ollama."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OLLAMA: Final = "ollama"
CREATE_SECONDS: Final = 3600
PLACEHOLDER: Final = re.compile(r'("?)FOLDER(/[\w.-]+)?"?')


def model_name(name: object) -> str:
    """Convert a job's name to a valid Ollama model name."""
    plain = re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")
    return plain[:40].strip("-") or "arkor-model"


def lines_for(export: Mapping[str, Any], folder: Path, name: str) -> list[str]:
    """Return the export's command for each program, with ``folder`` and ``name`` filled in."""

    def path(match: re.Match[str]) -> str:
        text = f"{folder}{match[2] or ''}"
        # Not JSON's escapes: Python reads its two of an emoji as two characters that no path has.
        return json.dumps(text, ensure_ascii=False) if match[1] else shlex.quote(text)

    usage = export.get("usage")
    lines = [entry for entry in usage if isinstance(entry, list)] if isinstance(usage, list) else []
    text_lines = [
        f"{program}: {PLACEHOLDER.sub(path, str(line).replace('NAME', name))}"
        for program, line in (entry for entry in lines if len(entry) == 2)
    ]
    if (
        text_lines
        and export.get("format") == "adapter"
        and not any(line.startswith("vLLM") for line in text_lines)
    ):
        text_lines.append("vLLM: not possible with this kind of adapter; export the job with --format merged")
    return text_lines


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
