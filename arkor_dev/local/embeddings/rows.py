"""The rows of a data set that are embedded and measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.reader import EXCLUDED, open_data
from arkor_dev.data.rows import Row
from arkor_dev.data.sources import SourceError, every_file
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.split import split
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from arkor_dev.local.training.job_settings import JobSettings

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
        said = [(each["role"], each.get("content")) for each in row.messages]
        own = [text for role, text in said if role != "system" and isinstance(text, str)]
        return "\n".join(own or [text for _, text in said if isinstance(text, str)])


def read_rows(config: Mapping[str, Any], project: Path, settings: JobSettings) -> list[Read]:
    """Return the readable rows of the data set that are not excluded, and of its evaluation set.

    Rows that await a judgement are included. Raises JobFailure.
    """

    def refuse(_: object) -> Any:
        raise SourceError("only files of the project can be embedded")

    forms = method(settings.get("method")).forms

    def rows_of(source: Any, *, numbered: bool) -> list[Read]:
        try:
            files = [replace(file, forms=forms) for file in every_file(source, project, refuse)]
            found = []
            with open_data(files) as data:
                for each in data.scan(every=True):
                    if each.out == EXCLUDED or not isinstance(row := data.item(each).row, Row):
                        continue
                    number = each.location.number if numbered else 0
                    found.append(Read(number, row_hash(each.record.raw), row, trained=not each.out))
                    if len(found) > MOST_ROWS:
                        raise JobFailure(f"More than {MOST_ROWS:,} rows cannot be embedded")
        except (SourceError, OSError) as fault:
            raise JobFailure(f"The data set cannot be read: {fault}") from None
        return found

    rows = rows_of(config["datasetSource"], numbered=True)
    if (own := config.get("evalDatasetSource")) is not None:
        held_out = rows_of(own, numbered=False)
        for each in held_out:
            each.held_out = True
        rows += held_out
    elif trained := [each.row for each in rows if each.trained]:
        held = {id(row) for row in split(trained, settings).held_out}
        for each in rows:
            each.held_out = id(each.row) in held
    if not rows:
        raise JobFailure("There are no rows to embed")
    return rows
