"""``arkor-dev verify``: checks the files of an adapter's folder against the hashes in its
``provenance.json``.

The hashes are not signed: they show that files are unchanged, not who wrote them. Needs neither a backend nor
a training library, except for ``--repeat``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from arkor_dev.cli.commands.jobs import LATEST
from arkor_dev.cli.which_backend import ids
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.provenance.compare import SOUND, WORDS, FileState, compare
from arkor_dev.contract.provenance.statement import FILE, StatementError, job_id, read_statement
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings

MOST_FILES = 50
"""Maximum number of files listed."""


class Target(NamedTuple):
    """What to check: a folder, or the single file ``only`` in it."""

    folder: Path
    only: str | None = None


async def run_verify(settings: Settings, reference: str, *, repeat: bool, as_json: bool) -> int:
    """Check a folder, a file in one, or a job of this machine; return the exit code.

    The code is 0 if every file is as written, else 1. ``repeat`` also repeats the training run, and a
    different result is 1, too. Raises BadRequestError if there is nothing to check.
    """
    target = target_of(settings, reference)
    report: dict[str, Any] = {"ok": False, "folder": str(target.folder)}
    try:
        statement = read_statement(target.folder)
    except FileNotFoundError:
        raise BadRequestError(
            f"{one_line(target.folder, 300)} has no {FILE}, so there is nothing to check it against."
        ) from None
    except StatementError as fault:
        return _end(report | {"error": f"{FILE} {one_line(fault, 300)}"}, as_json)
    results = compare(target.folder, statement, target.only)
    ok = all(result.state in SOUND for result in results)
    report |= {
        "ok": ok,
        "job": one_line(job_id(statement), 100),
        "files": [result._asdict() for result in results],
    }
    if not as_json:
        print("\n".join(lines(results)))  # noqa: T201
    if repeat and ok:
        from .again import repeated

        report["repeat"] = outcome = await repeated(settings, target.folder, statement, quiet=as_json)
        report["ok"] = bool(outcome["ok"])
    elif repeat and not as_json:
        print("Not trained again: the files differ from those it would be compared with.")  # noqa: T201
    return _end(report, as_json)


def _end(outcome: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps(outcome, indent=2))  # noqa: T201
    elif "error" in outcome:
        print(outcome["error"])  # noqa: T201
    return 0 if outcome["ok"] else 1


def target_of(settings: Settings, reference: str) -> Target:
    """Resolve ``reference``: a folder, a file in one, ``JOB`` or ``JOB:STEP``."""
    path = Path(reference)
    if path.is_dir():
        return Target(path)
    if path.exists() or path.is_symlink():
        return Target(path.parent, None if path.name == FILE else path.name)
    name, colon, step = reference.partition(":")
    jobs = settings.local_data / "jobs"
    subfolder = Path("checkpoints") / step if colon and step != "final" else Path("final")
    if name == LATEST:
        name = next((job for job in ids(settings) if (jobs / job / "final").is_dir()), name)
    sound = name.isascii() and name.replace("_", "").isalnum()
    sound &= not colon or step == "final" or (step.isascii() and step.isdigit())
    folders = [
        candidate
        for candidate in (jobs.glob(f"{name}*") if sound and jobs.is_dir() else ())
        if candidate.is_dir()
    ]
    folders = [candidate for candidate in folders if candidate.name == name] or folders
    if len(folders) == 1 and (folders[0] / subfolder).is_dir():
        return Target(folders[0] / subfolder)
    if len(folders) > 1:
        raise BadRequestError(f"{one_line(reference, 100)} matches {len(folders)} jobs. Give more of the id.")
    raise BadRequestError(
        f"No such folder, file or job on this machine: {one_line(reference, 300)}. Name an adapter's folder."
    )


def lines(results: list[FileState]) -> list[str]:
    """Format the files' states, changed files first."""
    wrong = [result for result in results if result.state not in SOUND]
    text_lines = [f"{one_line(result.name, 300)} {WORDS[result.state]}" for result in wrong[:MOST_FILES]]
    if len(wrong) > MOST_FILES:
        text_lines.append(f"and {len(wrong) - MOST_FILES:,} more")
    same_count = sum(result.state == "same" for result in results)
    if not wrong:
        text_lines.append(
            f"{same_count:,} {'file matches' if same_count == 1 else 'files match'} the provenance."
        )
    return text_lines
