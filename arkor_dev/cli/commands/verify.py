"""``arkor-dev verify``: checks the files of an adapter's folder against the hashes in its
``provenance.json``, and for a job that deleted rows whether any of their text is left.

The hashes are not signed: they show that files are unchanged, not who wrote them. Needs neither a backend nor
a training library, except for ``--repeat`` and deleted rows.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NotRequired, TypedDict

from rich.console import Console

from arkor_dev.cli.progress_view import view_for
from arkor_dev.client.reproduction import ReproductionReport, reproduced
from arkor_dev.client.result_folder import target_of
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.provenance.compare import SOUND, WORDS, FileState, compare
from arkor_dev.contract.provenance.statement import FILE, StatementError, job_id, read_statement
from arkor_dev.core.plain_text import one_line

from .forget import exit_code, verified
from .forget import lines as certificate_lines

if TYPE_CHECKING:
    from arkor_dev.contract.forget import Certificate
    from arkor_dev.contract.provenance.statement import Statement
    from arkor_dev.core.settings import Settings

CERTIFIED = "forgotten.json"
"""The file in the folder of a job that deleted rows from another's adapter."""
MOST_FILES = 50
"""Maximum number of files listed."""


class Repeat(ReproductionReport):
    """How the repeated training ``job`` compares with the original one."""

    job: str


class VerifyReport(TypedDict):
    """What ``--json`` prints. ``files`` has each `FileState`; ``error`` says why no file was checked."""

    ok: bool
    folder: str
    error: NotRequired[str]
    job: NotRequired[str]
    files: NotRequired[list[dict[str, object]]]
    repeat: NotRequired[Repeat]
    certificate: NotRequired[Certificate]


async def run_verify(settings: Settings, reference: str, *, repeat: bool, as_json: bool) -> int:
    """Check a folder, a file in one, or a job of this machine; return the exit code.

    The code is 0 if every file is as written, else 1. For a job that deleted rows, their texts are searched
    for again, and the code is that of its certificate (`exit_code`). ``repeat`` also repeats the
    training run, and a different result is 1, too. Raises BadRequestError if there is nothing to check.
    """
    target = target_of(settings, reference)
    report: VerifyReport = {"ok": False, "folder": str(target.folder)}
    try:
        statement = read_statement(target.folder)
    except FileNotFoundError:
        raise BadRequestError(
            f"{one_line(target.folder, 300)} has no {FILE}, so there is nothing to check it against."
        ) from None
    except StatementError as fault:
        report["error"] = f"{FILE} {one_line(fault, 300)}"
        return _end(report, as_json)
    results = compare(target.folder, statement, target.only)
    ok = all(result.state in SOUND for result in results)
    report["ok"], report["job"] = ok, one_line(job_id(statement), 100)
    report["files"] = [result._asdict() for result in results]
    if not as_json:
        print("\n".join(lines(results)))  # noqa: T201
    job = target.folder.parent
    if (
        ok
        and target.only is None
        and (job / CERTIFIED).is_file()
        and job.parent == settings.local_data / "jobs"
    ):
        certificate = await verified(settings, job.name, repeat=repeat, quiet=as_json)
        code = exit_code(certificate, repeated=repeat)
        report["ok"], report["certificate"] = code == 0, certificate
        if not as_json:
            print("\n".join(certificate_lines(certificate)))  # noqa: T201
        _end(report, as_json)
        return code
    if repeat and ok:
        report["repeat"] = outcome = await _reproduced(settings, statement, quiet=as_json)
        report["ok"] = outcome["ok"]
    elif repeat and not as_json:
        print("Not trained again: the files differ from those it would be compared with.")  # noqa: T201
    return _end(report, as_json)


async def _reproduced(settings: Settings, statement: Statement, *, quiet: bool) -> Repeat:
    """Repeat the training, with its progress on the terminal; print how it compares unless ``quiet``."""
    view = view_for(Console(file=sys.stderr if quiet else sys.stdout, highlight=False), None)
    with view:
        job, comparison = await reproduced(
            settings, statement, on_notice=view.notice, show=view.show,
            on_created=lambda job_id: view.say(f"Training it again: job {job_id}"),
        )  # fmt: skip
    if not quiet:
        print("\n".join(comparison_lines(comparison)))  # noqa: T201
    return {"job": job, **comparison}


def _end(outcome: VerifyReport, as_json: bool) -> int:
    if as_json:
        print(json.dumps(outcome, indent=2))  # noqa: T201
    elif "error" in outcome:
        print(outcome["error"])  # noqa: T201
    return 0 if outcome["ok"] else 1


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


def comparison_lines(outcome: ReproductionReport) -> list[str]:
    """Format the comparison as lines."""
    names = [one_line(item["name"], 200) for item in outcome["files"] if not item["same"]]
    if outcome["same"]:
        return ["Reproduced: the repeated training is the same bit for bit."]
    text_lines = [f"Not reproduced: the repeated training differs in {', '.join(names[:10])}."]
    if outcome["reasons"]:
        text_lines += ["What differs:", *(f"- {reason}" for reason in outcome["reasons"])]
    else:
        text_lines.append("No known cause: everything that they depend on is the same.")
    words = {"loss": "loss", "evalLoss": "eval loss"}
    text_lines += [
        f"{words[name]}: {item['now']:.4f}, was {item['before']:.4f}"
        for name, item in outcome["losses"].items()
    ]
    return text_lines
