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

    usage: object = export.get("usage")
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
