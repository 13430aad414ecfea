"""The file ``forgotten.json``: how a job was trained without rows that another job had learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeGuard, cast

from arkor_dev.data.passages import KEY_BYTES, WORDS

from .job_folder import forgotten_file

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.forget import DeletedRow
    from arkor_dev.data.passages import PassageHashes


class ForgottenFacts(TypedDict):
    """The deleted rows, hashes of their ``passages``, and how the training continued; see ``Certificate``."""

    rows: list[DeletedRow]
    first: int | None
    start: int
    steps: int
    message: str
    passages: PassageHashes


def write_forgotten(folder: Path, facts: ForgottenFacts) -> None:
    """Write the file into the job's ``folder``. Raises OSError."""
    forgotten_file(folder).write_json(facts)


def read_forgotten(folder: Path) -> ForgottenFacts | None:
    """Return the facts in the job's ``folder``; None if they are missing, or not as they were written."""
    facts = forgotten_file(folder).read_json()
    return facts if _are_facts(facts) else None


def _are_facts(value: object) -> TypeGuard[ForgottenFacts]:
    if not isinstance(value, dict):
        return False
    rows, first = value.get("rows"), value.get("first")
    return (
        isinstance(rows, list)
        and all(
            isinstance(row, dict) and _is_text(row.get("where")) and _is_text(row.get("sha256"))
            for row in rows
        )
        and (first is None or type(first) is int)
        and all(type(value.get(name)) is int for name in ("start", "steps"))
        and _is_text(value.get("message"))
        and _are_hashes(value.get("passages"))
    )


def _are_hashes(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("hashes"), dict):
        return False
    lists = cast("dict[object, object]", value["hashes"]).values()
    sizes = set(value["hashes"]) <= {str(size) for size in range(1, WORDS + 1)}
    return (
        sizes
        and _is_hexadecimal(value.get("key"))
        and all(isinstance(some, list) and all(map(_is_text, some)) for some in lists)
    )


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_hexadecimal(value: object) -> bool:
    try:
        return 0 < len(bytes.fromhex(value if isinstance(value, str) else "")) <= KEY_BYTES
    except ValueError:
        return False
