"""``[[evaluation]]`` in ``arkor.toml``: the user's own rows, and the metrics on them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, cast

from arkor_dev.contract import strict_json
from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.settings.own_sets import JUDGE, MOST, fault_of, spelled
from arkor_dev.data.sources import SourceError, inside, resolved

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationSet

    from .problems import Problems

TABLE: Final = "evaluation"
KEYS: Final = ("file", "name", "metric", "pattern", "schema", "rubric", "range", "judge")
TEXTS: Final = (".md", ".txt")
"""A rubric with one of these endings is a file."""
SPELLED: Final = {"path": "file"}
"""Keys that have a different name in a job's config."""


def read_sets(project: Path, blocks: object, problems: Problems) -> list[EvaluationSet]:
    """Return the sets of a document in the form of a job's config; problems go into ``problems``."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        problems.add(
            (TABLE,), "write [[evaluation]] with two brackets, and file below it: there may be several"
        )
        return []
    if len(blocks) > MOST:
        problems.add((TABLE, MOST), f"more than {MOST} evaluations. Put some rows together")
        return []
    sets: list[dict[str, object]] = []
    for index, block in enumerate(blocks):
        at = (TABLE, index)
        if not problems.check_keys(at, block, KEYS):
            continue
        entry = _read(project, block)
        problem = entry if isinstance(entry, tuple) else fault_of(entry)
        if problem is None and any(other["name"] == entry["name"] for other in sets):  # type: ignore[call-overload]
            problem = ("name", "is used by another [[evaluation]]: names must be unique")
        if problem:
            key = SPELLED.get(problem[0], problem[0])
            problems.add((*at, key), f"{key} {problem[1]}")
        elif isinstance(entry, dict):
            sets.append(entry)
    return cast("list[EvaluationSet]", sets)


def _read(project: Path, block: dict[str, object]) -> dict[str, object] | tuple[str, str]:
    """Return one set, or the invalid key and why."""
    if "file" not in block:
        return "file", 'is missing. Add file = "data/questions.jsonl"'
    if not isinstance(block["file"], str):
        return "file", "must be the path of a file of the project"
    try:
        inside(project, block["file"])
        path = resolved(project, block["file"]).relative_to(project.resolve()).as_posix()
    except SourceError as fault:
        return "file", str(fault)
    entry: dict[str, object] = {"name": PurePosixPath(path).stem[:60], "path": path, "metric": "loss"}
    entry |= {key: value for key, value in block.items() if key != "file"}
    if isinstance(schema := entry.get("schema"), str):
        try:
            entry["schema"] = strict_json.parse(read_small(resolved(project, schema)))
        except SourceError as fault:
            return "schema", str(fault)
        except (OSError, ValueError) as fault:
            return "schema", f"cannot be read: {getattr(fault, 'strerror', None) or fault}"
    if isinstance(rubric := entry.get("rubric"), str) and rubric.endswith(TEXTS) and "\n" not in rubric:
        try:
            entry["rubric"] = read_small(resolved(project, rubric)).decode().strip()
        except SourceError as fault:
            return "rubric", str(fault).partition(". ")[0]
        except (OSError, ValueError) as fault:
            return "rubric", f"cannot be read: {getattr(fault, 'strerror', None) or fault}"
    if isinstance(judge := block.get("judge"), dict):
        fields = {spelled(field): field for field in JUDGE}
        return {**entry, "judge": {fields.get(key, key): value for key, value in judge.items()}}
    return entry
