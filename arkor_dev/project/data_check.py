"""Checking the data of a trainer, or any file, without training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.findings.check import check_data
from arkor_dev.data.methods import forms_of
from arkor_dev.data.reader import DataFile
from arkor_dev.data.sources import SourceError, files_of, inside, parts_of
from arkor_dev.processes.run_child import run_child

from .arkor_toml import index_of, load_trainers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.dataset_shapes import DataCheck
    from arkor_dev.contract.shapes import DatasetSource
    from arkor_dev.data.findings.check import Progress
    from arkor_dev.data.forms import Form

SECONDS: Final = 4
"""Limit for reading before a start; ``arkor-dev data check`` checks the rest without a limit."""
REPORT_BYTES: Final = 4 * 2**20


def check_trainer(
    project: Path, trainer: str | None, progress: Progress, seconds: float | None = None
) -> DataCheck:
    """Check the data of ``trainer`` (None: the first). Sources outside the project are skipped, and reported.

    Raises BadRequestError for an unknown trainer, an invalid table or a missing file.
    """
    trainers = load_trainers(project)
    chosen = trainers[index_of(trainers, trainer)]
    if "config" not in chosen:
        raise BadRequestError(chosen["problem"])
    config = chosen["config"]
    left_out: list[str] = []
    if environment := config.get("environment"):
        left_out.append(
            f"The tools of {one_line(environment, 100)}: training adds them to each prompt, so "
            "prompts are longer there than they are shown and counted."
        )
    held_out = config.get("evalDatasetSource")
    try:
        forms = forms_of(config.get("method"))
        files = _files(config["datasetSource"], project, left_out, forms)
        held_out_files = _files(held_out, project, left_out, forms) if held_out else []
    except SourceError as fault:
        raise BadRequestError(f"The data set of {chosen['name']}: {fault}") from None
    if not files:
        return {"rows": 0, "files": [], "findings": [], "leftOut": left_out}
    report = _checked(files, held_out_files, progress, seconds)
    return {**report, "leftOut": [*left_out, *report["leftOut"]]}


def check_path(path: Path, progress: Progress, seconds: float | None = None) -> DataCheck:
    """Check a file, or the files of a folder, anywhere. Raises BadRequestError if it does not exist."""
    folder = path.resolve().parent
    try:
        paths = inside(folder, path.resolve().name)
    except SourceError as fault:
        raise BadRequestError(str(fault).replace(" in the project", f" in {folder}")) from None
    is_file = paths == [path.resolve()]
    files = [DataFile(file, str(path) if is_file else file.relative_to(folder).as_posix()) for file in paths]
    return _checked(files, [], progress, seconds)


async def check_in_child(project: Path, trainer: str) -> DataCheck:
    """Run ``check_trainer`` in a separate process, since reading uses a CPU, for at most ``seconds``.

    Raises BadRequestError like `check_trainer`, and if the check itself fails.
    """
    # -P: a project's own random.py or datasets/ must not shadow the real ones.
    argv = [sys.executable, "-P", "-m", "arkor_dev", "data", "check", "--json", f"--seconds={SECONDS}"]
    argv += ["--project", str(project), f"--trainer={trainer}"]
    try:
        output = await run_child(argv, project, 4 * SECONDS, REPORT_BYTES)
    except OSError as fault:
        raise BadRequestError(f"The data cannot be checked: {fault}") from None
    line = output.text.rpartition("\n")[2]
    if output.code not in (0, 1) or not line.startswith("{"):
        raise BadRequestError(f"The data cannot be checked: {one_line(output.text) or 'it takes too long'}")
    report: DataCheck = json.loads(line)
    return report


def _files(
    source: DatasetSource, project: Path, left_out: list[str], forms: Mapping[str, Form]
) -> list[DataFile]:
    files: list[DataFile] = []
    for number, part in enumerate(parts_of(source)):
        if part["type"] == "file":
            files += files_of(part, project, number, forms)
        else:
            left_out.append(
                f"{part.get('name') or part.get('url')}: it is remote, and only files are checked."
            )
    return files


def _checked(
    files: list[DataFile], held_out: list[DataFile], progress: Progress, seconds: float | None
) -> DataCheck:
    try:
        return check_data(files, held_out, progress, seconds)
    except OSError as fault:
        name = Path(fault.filename).name if fault.filename else files[0].name
        raise BadRequestError(f"{name} cannot be read: {fault.strerror or fault}") from None
