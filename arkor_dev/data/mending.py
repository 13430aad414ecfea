"""Safe fixes for findings: they change texts of a row, or remove the row."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from .findings.characters import decoded_again, without_controls
from .findings.masking import addresses, cards, keys, phones, replaced
from .forms import COLUMNS
from .json_edit import rewritten
from .messages import from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Fix = Callable[[str], str]

TEXTS: Final[Mapping[str, Fix]] = {
    "mojibake": decoded_again,
    "control-characters": without_controls,
    "secret": partial(replaced, find=keys, replacement="KEY"),
    "card-number": partial(replaced, find=cards, replacement="CARD NUMBER"),
    "e-mail": partial(replaced, find=addresses, replacement="name@example.com"),
    "phone-number": partial(replaced, find=phones, replacement="555-0100"),
    "white-space": str.strip,
}
"""What each finding's fix makes of a text, in this order."""
REMOVES: Final = ("blank", "empty-answer", "duplicate", "near-duplicate")
"""Findings whose rows are removed."""
IN_EVAL: Final = "in-eval"
"""The finding whose rows are removed from the evaluation set."""
KINDS: Final = (*TEXTS, *REMOVES, IN_EVAL)
ON_REQUEST: Final = frozenset({"near-duplicate", "e-mail", "phone-number"})
"""Findings that may be intended: their rows are changed only if they are named."""
_NAME_KEYS: Final = frozenset({"role", "from", "name", "type", "id", "tool_call_id"})
"""Keys inside messages and tools whose values are names, not texts."""
_TEXT_KEYS: Final = frozenset({"content", "value", "text"})


def mended(
    record: Mapping[str, object], kinds: Collection[str], columns: Mapping[str, str]
) -> dict[str, object]:
    """Return ``record`` with the fixes of these ``kinds`` in all texts that are learned from."""
    learned = {columns.get(name, name) for name in COLUMNS}
    plain = columns.get("text", "text")
    fixes = [(kind, fix) for kind, fix in TEXTS.items() if kind in kinds]

    def walk(value: object, name: str, depth: int) -> object:
        if isinstance(value, dict):
            return {
                key: item if key in _NAME_KEYS else walk(item, key, depth + 1) for key, item in value.items()
            }
        if isinstance(value, list):
            return [walk(item, name, depth + 1) for item in value]
        if not isinstance(value, str):
            return value
        inner = from_text(value)
        if isinstance(inner, dict | list):
            changed = walk(inner, name, depth + 1)
            return value if changed == inner else rewritten(value, changed)
        for kind, fix in fixes:
            # White space inside a plain text, or a tool's argument, may mean something.
            if kind != "white-space" or (name in _TEXT_KEYS if depth else name != plain):
                value = fix(value)
        return value

    return {name: walk(value, name, 0) if name in learned else value for name, value in record.items()}
