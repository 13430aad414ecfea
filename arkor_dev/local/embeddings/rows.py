"""The rows of a data set that are embedded and measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NoReturn

from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.reader import EXCLUDED, open_data
from arkor_dev.data.rows import Row
from arkor_dev.data.sources import SourceError, every_file
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.split import split
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource, JobConfig
    from arkor_dev.local.training.job_settings import EffectiveSettings

LONGEST: Final = 512
"""Maximum number of tokens of a row that are read."""
MOST_ROWS: Final = 100_000


@dataclass(slots=True)
class Read:
    """A row of the data set; ``number`` is 0 for a row of a separate evaluation set."""

    number: int
    digest: int
    row: Row
    trained: bool
    held_out: bool = False

    @property
    def text(self) -> str:
        """The row's text, without system prompts unless there is nothing else."""
        row = self.row
        if row.text is not None:
            return row.text
        own = [message["content"] for message in row.messages if message["role"] != "system"]
        return "\n".join(own or [message["content"] for message in row.messages])


def read_rows(config: JobConfig, project: Path, settings: EffectiveSettings) -> list[Read]:
    """Return the readable rows of the data set that are not excluded, and of its evaluation set.

    Rows that await a judgement are included. Raises JobFailure.
    """

    def refuse(_: object) -> NoReturn:
        raise SourceError("only files of the project can be embedded")

    forms = method(settings.get("method")).record.forms

    def rows_of(source: DatasetSource, *, numbered: bool) -> list[Read]:
        try:
            files = [replace(file, forms=forms) for file in every_file(source, project, refuse)]
            rows_read = []
            with open_data(files) as data:
                for scanned in data.scan(every=True):
                    if scanned.out == EXCLUDED or not isinstance(row := data.item(scanned).row, Row):
                        continue
                    number = scanned.location.number if numbered else 0
                    rows_read.append(Read(number, row_hash(scanned.record.raw), row, trained=not scanned.out))
                    if len(rows_read) > MOST_ROWS:
                        raise JobFailure(f"More than {MOST_ROWS:,} rows cannot be embedded")
        except (SourceError, OSError) as fault:
            raise JobFailure(f"The data set cannot be read: {fault}") from None
        return rows_read

    rows = rows_of(config["datasetSource"], numbered=True)
    if (own := config.get("evalDatasetSource")) is not None:
        held_out = rows_of(own, numbered=False)
        for row_read in held_out:
            row_read.held_out = True
        rows += held_out
    elif trained := [row_read.row for row_read in rows if row_read.trained]:
        held_out_ids = {id(row) for row in split(trained, settings).held_out}
        for row_read in rows:
            row_read.held_out = id(row_read.row) in held_out_ids
    if not rows:
        raise JobFailure("There are no rows to embed")
    return rows
