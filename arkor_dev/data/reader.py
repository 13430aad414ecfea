"""An open data set: its files in their formats, as rows in sequence or at random.

An invalid row is returned as its error and the next one follows, so that training can stop at the first, a
check can count them all, and the page can show each in its place.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from .containers import MAX_BYTES, Record
from .detect import RestartPoints, open_container
from .exclusions import Exclusions, row_hash
from .forms import FORMS, Form
from .parquet import SECONDS
from .row_parser import row_of, wanted_keys
from .rows import MAX_ROW, DataError, Row, RowError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from .containers import Container
    from .reviews import Selection

FIRST_ROWS: Final = 20
OPEN_FILES: Final = 32


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a data set. ``name`` is the user's name for it; the others are as in ``row_of``.

    ``unit`` overrides the format's unit for positions: rows of a hub's data set are cached in a file whose
    line numbers mean nothing to the user. ``exclude`` has the excluded rows of its source, which is number
    ``source`` of the data set; see ``exclusions``. ``selection``: the rows that judgements allow, or None.
    """

    path: Path
    name: str
    form: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    unit: str | None = None
    forms: Mapping[str, Form] = field(default_factory=lambda: FORMS)
    exclude: frozenset[str] = frozenset()
    source: int = 0
    selection: Selection | None = None


class RowLocation(NamedTuple):
    """The position of a row for `DataSet.read`. All numbers, so that many fit into arrays.

    ``number`` counts the rows of the data set from 1, ``line`` those of its file; ``size`` is in bytes.
    ``line`` is 0 if a file cannot be read any further.
    """

    number: int
    file: int
    offset: int
    line: int
    size: int


class Item(NamedTuple):
    """A row, or its error; after a DataError nothing more of its file can be read."""

    location: RowLocation
    where: str
    row: Row | RowError


EXCLUDED: Final = "excluded"
LEFT_OUT: Final = "left-out"
"""Why a row is not trained on: its source's ``exclude`` lists it, or its judgements leave it out."""


class LocatedRow(NamedTuple):
    """A located, unparsed row; `DataSet.item` parses it. ``out`` is why it is not trained on, or empty."""

    location: RowLocation
    record: Record
    container: Container | None
    out: str = ""


class DataSet:
    """The rows of some files. Reading may raise OSError. Not thread-safe."""

    def __init__(self, files: Sequence[DataFile], limit: int, seconds: float = SECONDS) -> None:
        self.files, self.limit, self.seconds = list(files), limit, seconds
        self._open: dict[int, Container] = {}
        self._restarts: dict[int, RestartPoints] = {}
        self.exclusions = Exclusions(())
        self.left_out = 0
        """Rows that judgements leave out. Both are of the latest ``scan``, up to its position."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what ``read`` has opened; iterating closes its files itself."""
        for container in self._open.values():
            container.close()
        self._open.clear()

    def __iter__(self) -> Iterator[Item]:
        """Iterate over every row from the first on that is trained on."""
        return map(self.item, self.scan())

    def scan(self, *, every: bool = False) -> Generator[LocatedRow, None, None]:
        """Yield the position of every row without parsing: a hundred thousand in a fraction of a second.

        Rows that are not trained on are skipped unless ``every`` is requested, but are numbered.
        """
        number = self.left_out = 0
        exclusions = self.exclusions = Exclusions((file.source, file.exclude) for file in self.files)
        for index, file in enumerate(self.files):
            try:
                container, _ = self._opened(index)
            except DataError as fault:
                number += 1
                yield LocatedRow(RowLocation(number, index, 0, 0, 0), Record(0, 0, 0, fault), None)
                continue
            with closing(container):
                for record in container.scan():
                    number += 1
                    out = ""
                    if file.exclude and exclusions.match(file.source, record.raw):
                        out = EXCLUDED
                    elif file.selection and file.selection.leaves_out(row_hash(record.raw)):
                        out = LEFT_OUT
                        self.left_out += 1
                    if out and not every:
                        continue
                    location = RowLocation(number, index, record.offset, record.line, record.size)
                    yield LocatedRow(location, record, container, out)

    def item(self, located: LocatedRow) -> Item:
        location, record, container, _ = located
        file = self.files[location.file]
        where = (
            file.name if container is None else f"{file.name}, {file.unit or container.unit} {location.line}"
        )
        try:
            if isinstance(record.raw, RowError):
                raise record.raw
            assert container is not None  # only an error has none
            options = (file.form, file.columns, file.group, file.forms)
            row = row_of(container.value(record), where, *options)
            return Item(location, where, replace(row, source=file.source) if file.source else row)
        except RowError as fault:
            return Item(location, file.name if isinstance(fault, DataError) else where, fault)

    def read(self, location: RowLocation) -> Item:
        """Return the row at a position from ``scan``; if the file has changed, the row that is there now."""
        return self.item(self.locate(location))

    def locate(self, location: RowLocation) -> LocatedRow:
        """Return the unparsed row at a position; see ``read``."""
        container = self._open.get(location.file)
        if location.line == 0:
            return LocatedRow(location, Record(0, 0, 0, DataError("cannot be read further")), container)
        try:
            if container is None:
                if len(self._open) >= OPEN_FILES:
                    self.close()
                container, _ = self._opened(location.file)
                self._open[location.file] = container
            record = next(iter(container.scan(location.offset, location.line)), None)
        except DataError as fault:
            record = Record(0, 0, 0, fault)
        if record is None:
            record = Record(0, 0, 0, DataError("has changed: this row is gone"))
        return LocatedRow(location, record, container)

    def _opened(self, index: int) -> tuple[Container, bool]:
        """Open a file again; restart points of a gzip file are shared by all readers."""
        file, restarts = self.files[index], self._restarts.setdefault(index, RestartPoints())
        mapped = (*file.columns.values(), *((file.group,) if file.group else ()))
        return open_container(file.path, self.limit, restarts, mapped, self.seconds)

    def words(self, index: int = 0) -> str:
        """Describe a file: ``ShareGPT, JSON Lines, gzip``. Reads its first few rows."""
        try:
            container, packed = self._opened(index)
        except DataError:
            return "unknown"
        with closing(container):
            form, size = None, 0
            for record in islice(container.scan(), FIRST_ROWS):
                row = self.item(LocatedRow(RowLocation(1, index, *record[:3]), record, container)).row
                if isinstance(row, Row):
                    form = self.files[index].forms[row.form].label
                size += record.size
                if form or size > MAX_ROW:
                    break
        return ", ".join([*([form] if form else []), container.words, *(["gzip"] if packed else [])])


def open_data(files: Sequence[DataFile], limit: int = MAX_BYTES, seconds: float = SECONDS) -> DataSet:
    """Return the rows of ``files``, which are opened when needed. ``with`` closes them.

    A file of more than ``limit`` unpacked bytes ends with a TooLargeError, a Parquet file whose rows take
    longer than ``seconds`` with a SlowError.
    """
    return DataSet(files, limit, seconds)


def no_rows(name: str, data: DataSet) -> RowError:
    """Return the message for a data set that was read and has no rows to train on."""
    if data.left_out:
        return RowError(
            f"No row of {name} is left by its judgements: accept rows on the Data page, or set only = "
            '"all" in arkor.toml'
        )
    if data.exclusions.excluded:
        return RowError(f"Every row of {name} is excluded: remove entries from exclude in arkor.toml")
    if name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        return RowError(
            f"{name} has no rows: write one per line below the names of the columns, such as prompt and "
            "completion"
        )
    return RowError(f"{name} is empty: write one JSON object per line, with the keys {wanted_keys(FORMS)}")
