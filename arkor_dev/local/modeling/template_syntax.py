"""Checks that a model's chat template can be parsed, from its files, before anything is loaded."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

OWN_TAG: Final = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""transformers' tag around the assistant's words, which jinja does not know."""
LIMIT: Final = 4 * 2**20


def check_template(model: Path) -> None:
    """Raise JobFailure, with the line, for an invalid template, without running it."""
    import jinja2

    text = _template(model)
    if text is None:
        return
    try:
        jinja2.Environment(extensions=["jinja2.ext.loopcontrols"]).parse(OWN_TAG.sub("", text))  # noqa: S701
    except jinja2.TemplateSyntaxError as error:
        raise JobFailure(
            f"The model's chat template cannot be read, line {error.lineno}: {error.message}. The "
            "model's folder is damaged: download it again, or choose another model"
        ) from None
    except RecursionError:
        raise JobFailure("The model's chat template cannot be read: it is nested too deeply") from None


def _template(model: Path) -> str | None:
    """Return the template in a model's folder; None without one, or if only the tokenizer can find it."""
    try:
        path = model / "chat_template.jinja"
        if path.is_file():
            return path.read_text()[:LIMIT]
        template = json.loads((model / "tokenizer_config.json").read_text()).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return None
    return template if isinstance(template, str) else None
