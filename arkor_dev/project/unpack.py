"""Copies a data file that is packed (gzip, Parquet) into one that can be edited in place."""

from __future__ import annotations

import gzip
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import open_regular
from arkor_dev.data.containers import MAX_BYTES
from arkor_dev.data.detect import is_parquet, open_container
from arkor_dev.data.rows import DataError, RowError
from arkor_dev.data.sources import SourceError, parts_of, resolved

from .data_editor import config_of
from .new_data import NewDataFile
from .write_settings import DatasetChange, write_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.contract.shapes import SettingsWritten

PIECE: Final = 2**20
MOST: Final = 4 * 2**30
"""Largest copy, in bytes: a few kilobytes of gzip can unpack to more than any disk holds."""


def unpack(project: Path, trainer: str, revision: str, part: int) -> SettingsWritten:
    """Write a copy of a source's file into ``data/``, and write its path into ``arkor.toml``.

    A gzip file is unpacked as it is, a Parquet file becomes JSON Lines; the packed file stays. The rows keep
    their hashes, so what is excluded stays so. Raises BadRequestError for a source that is not one packed
    file, and ConflictError if ``arkor.toml`` no longer has the ``revision``.
    """
    parts = parts_of(config_of(project, trainer)["datasetSource"])
    if not (part < len(parts) and parts[part]["type"] == "file"):
        raise BadRequestError("This source is not a file of the project.")
    source = parts[part]["path"]
    try:
        path = resolved(project, source)
        if path.is_dir():
            raise BadRequestError(f"{source} is a folder. Unpack its files by hand.")
        pieces, name = _content(path)
        copy = NewDataFile(project, name)
        try:
            size = 0
            for piece in pieces:
                size += len(piece)
                if size > MOST:
                    raise BadRequestError(f"{source} has more than {MOST // 2**30} GiB when unpacked.")
                copy.write(piece)
            change: DatasetChange = {"part": part, "file": copy.path}
            done = write_dataset(project, trainer, revision, change, preview=False)
            copy.keep()
        finally:
            copy.close()
    except (SourceError, DataError) as fault:
        raise BadRequestError(f"{source}: {fault}") from None
    except (OSError, EOFError, zlib.error) as fault:
        raise BadRequestError(f"{source} cannot be unpacked: {fault}") from None
    return done


def _content(path: Path) -> tuple[Iterator[bytes], str]:
    if is_parquet(path):
        return _lines(path), f"{path.stem}.jsonl"
    with open_regular(path) as file:
        if file.read(2) != b"\x1f\x8b":
            raise BadRequestError(f"{path.name} is not packed: its rows can be edited where they are.")
    name = path.name
    return _unpacked(path), name[: -len(".gz")] if name.lower().endswith(".gz") else name


def _unpacked(path: Path) -> Iterator[bytes]:
    with open_regular(path) as packed, gzip.GzipFile(fileobj=packed) as file:
        while piece := file.read(PIECE):
            yield piece


def _lines(path: Path) -> Iterator[bytes]:
    container, _ = open_container(path, MAX_BYTES)
    with closing(container):
        for record in container.scan():
            if isinstance(record.raw, RowError):
                raise DataError(str(record.raw))
            assert isinstance(record.raw, bytes)  # a Parquet file's
            yield record.raw + b"\n"
