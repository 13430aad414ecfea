"""Commands that use an export in other programs."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import Export

PLACEHOLDER: Final = re.compile(r'("?)FOLDER(/[\w.-]+)?"?')


def model_name(name: object) -> str:
    """Convert a job's name to a valid Ollama model name."""
    plain = re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")
    return plain[:40].strip("-") or "arkor-model"


def lines_for(export: Export, folder: Path, name: str) -> list[str]:
    """Return the export's command for each program, with ``folder`` and ``name`` filled in."""

    def path(match: re.Match[str]) -> str:
        text = f"{folder}{match[2] or ''}"
        # Not JSON's escapes: Python reads its two of an emoji as two characters that no path has.
        return json.dumps(text, ensure_ascii=False) if match[1] else shlex.quote(text)

    text_lines = [PLACEHOLDER.sub(path, line) for line in _lines(export.get("usage"), name)]
    if (
        text_lines
        and export.get("format") == "adapter"
        and not any(line.startswith("vLLM") for line in text_lines)
    ):
        text_lines.append("vLLM: not possible with this kind of adapter; export the job with --format merged")
    return text_lines


def lines_on_hub(export: Export, repository: str, name: str) -> list[str]:
    """Return the command for each program of an export in the Hub's ``repository``; empty if unknown."""
    return [line.replace("REPOSITORY", repository) for line in _lines(export.get("hubUsage"), name)]


def _lines(usage: object, name: str) -> list[str]:
    """Return ``program: line`` for each well-formed entry, with ``name`` filled in."""
    entries = [entry for entry in usage if isinstance(entry, list)] if isinstance(usage, list) else []
    return [
        f"{program}: {str(line).replace('NAME', name)}"
        for program, line in (entry for entry in entries if len(entry) == 2)
    ]
