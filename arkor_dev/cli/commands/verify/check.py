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
from arkor_dev.contract.provenance.compare import SOUND, WORDS, Found, compare
from arkor_dev.contract.provenance.statement import FILE, StatementError, job_id, read_statement
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings

SHOWN = 50
"""Most files listed."""


class Target(NamedTuple):
    """What to check: a folder, or the single file ``only`` in it."""

    folder: Path
    only: str | None = None


async def run_verify(settings: Settings, named: str, *, repeat: bool, as_json: bool) -> int:
    """Check a folder, a file in one, or a job of this machine; return the exit code.

    The code is 0 if every file is as written, else 1. ``repeat`` also repeats the training, and a different
    result is 1, too. Raises BadRequestError if there is nothing to check.
    """
    target = target_of(settings, named)
    told: dict[str, Any] = {"ok": False, "folder": str(target.folder)}
    try:
        statement = read_statement(target.folder)
    except FileNotFoundError:
        raise BadRequestError(
            f"{one_line(target.folder, 300)} has no {FILE}, so there is nothing to check it against."
        ) from None
    except StatementError as fault:
        return _end(told | {"error": f"{FILE} {one_line(fault, 300)}"}, as_json)
    found = compare(target.folder, statement, target.only)
    ok = all(each.state in SOUND for each in found)
    told |= {"ok": ok, "job": one_line(job_id(statement), 100), "files": [each._asdict() for each in found]}
    if not as_json:
        print("\n".join(lines(found)))  # noqa: T201
    if repeat and ok:
        from .again import repeated

        told["repeat"] = outcome = await repeated(settings, target.folder, statement, quiet=as_json)
        told["ok"] = bool(outcome["ok"])
    elif repeat and not as_json:
        print("Not trained again: the files differ from those it would be compared with.")  # noqa: T201
    return _end(told, as_json)


def _end(told: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps(told, indent=2))  # noqa: T201
    elif "error" in told:
        print(told["error"])  # noqa: T201
    return 0 if told["ok"] else 1


def target_of(settings: Settings, named: str) -> Target:
    """Resolve ``named``: a folder, a file in one, ``JOB`` or ``JOB:STEP``."""
    path = Path(named)
    if path.is_dir():
        return Target(path)
    if path.exists() or path.is_symlink():
        return Target(path.parent, None if path.name == FILE else path.name)
    name, colon, step = named.partition(":")
    jobs = settings.local_data / "jobs"
    place = Path("checkpoints") / step if colon and step != "final" else Path("final")
    if name == LATEST:
        name = next((job for job in ids(settings) if (jobs / job / "final").is_dir()), name)
    sound = name.isascii() and name.replace("_", "").isalnum()
    sound &= not colon or step == "final" or (step.isascii() and step.isdigit())
    found = [each for each in (jobs.glob(f"{name}*") if sound and jobs.is_dir() else ()) if each.is_dir()]
    found = [each for each in found if each.name == name] or found
    if len(found) == 1 and (found[0] / place).is_dir():
        return Target(found[0] / place)
    if len(found) > 1:
        raise BadRequestError(f"{one_line(named, 100)} matches {len(found)} jobs. Give more of the id.")
    raise BadRequestError(
        f"No such folder, file or job on this machine: {one_line(named, 300)}. Name an adapter's folder."
    )


def lines(found: list[Found]) -> list[str]:
    """Format the files' states, changed files first."""
    wrong = [each for each in found if each.state not in SOUND]
    told = [f"{one_line(each.name, 300)} {WORDS[each.state]}" for each in wrong[:SHOWN]]
    if len(wrong) > SHOWN:
        told.append(f"and {len(wrong) - SHOWN:,} more")
    same = sum(each.state == "same" for each in found)
    if not wrong:
        told.append(f"{same:,} {'file matches' if same == 1 else 'files match'} the provenance.")
    return told
