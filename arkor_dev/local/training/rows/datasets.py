"""Reads training rows from files, the web or the Hub, validates them and records their locations.

Bad data ends the job with file, line and reason, or is skipped if the job allows it; never silently, since
nobody should train on half of their data without knowing.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Final

from arkor_dev.contract.extras import install_command
from arkor_dev.data.detect import SUFFIXES
from arkor_dev.data.reader import DataFile, no_rows, open_data
from arkor_dev.data.rows import DataError, Row, RowError
from arkor_dev.data.sources import SourceError, every_file
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from http.client import HTTPMessage
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource
    from arkor_dev.data.forms import Form

    Progress = Callable[[str, float, float | None, str], None]

MAX_DOWNLOAD: Final = 2 * 2**30


def load_rows(
    source: DatasetSource,
    project: Path,
    scratch: Path,
    progress: Progress,
    forms: Mapping[str, Form],
    limit: int | None,
    bad: list[str] | None = None,
) -> list[Row]:
    """Return the rows of ``source`` in one of ``forms``, or the first ``limit``; see ``read_rows``."""
    return read_rows(fetched(source, project, scratch, progress, forms, limit), limit, bad)


def fetched(
    source: DatasetSource,
    project: Path,
    scratch: Path,
    progress: Progress,
    forms: Mapping[str, Form],
    limit: int | None = None,
) -> list[DataFile]:
    """Return the files of a data set with rows of these ``forms``.

    Remote files are downloaded into ``scratch``; the Hub's only up to ``limit`` rows. Raises JobFailure.
    """
    number = 0

    def fetch(part: DatasetSource) -> DataFile:
        nonlocal number
        number += 1
        scratch.mkdir(parents=True, exist_ok=True)
        reading = (part.get("form"), part.get("columns") or {}, part.get("group"))
        if part["type"] == "huggingface":
            path = scratch / f"dataset-{number}.jsonl"
            name = _fetch_from_hub(part, path, progress, limit)
            return DataFile(path, name, *reading, unit="row")
        address = urllib.parse.urlsplit(part["url"]).path.lower()
        ending = next((suffix for suffix in SUFFIXES if address.removesuffix(".gz").endswith(suffix)), "")
        path = scratch / f"dataset-{number}{ending}"
        _download(part["url"], part.get("token"), path, progress)
        return DataFile(path, "the downloaded data set", *reading)

    try:
        return [replace(file, forms=forms) for file in every_file(source, project, fetch)]
    except SourceError as fault:
        raise JobFailure(f"The data set cannot be read: {fault}") from None


def read_rows(files: list[DataFile], limit: int | None = None, bad: list[str] | None = None) -> list[Row]:
    """Return the rows of ``files``, or the first ``limit``.

    Raises :class:`JobFailure` for the first bad row; with a list ``bad``, appends location and reason there
    and continues. Always raises if no row is good or a file is unreadable.
    """
    rows: list[Row] = []
    try:
        with open_data(files) as data:
            for item in data:
                if isinstance(item.row, RowError):
                    reason = f"{item.where}: {item.row}"
                    if bad is None or isinstance(item.row, DataError):
                        raise JobFailure(reason)
                    bad.append(reason)
                    continue
                rows.append(item.row)
                if limit is not None and len(rows) >= limit:
                    break
    except OSError as error:
        name = files[0].name if len(files) == 1 else "A file of the data set"
        raise JobFailure(f"{name} cannot be read: {error.strerror or error}") from None
    if not rows:
        none = no_rows(files[0].name, data)
        raise JobFailure(f"No row can be trained on. {bad[0]}" if bad else str(none))
    return rows


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects over http(s) only; the token is an unredirected header and is not sent along."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("http://", "https://")):
            raise JobFailure("The data set's address redirects to a scheme other than http or https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, token: str | None, path: Path, progress: Progress) -> None:
    request = urllib.request.Request(url)  # noqa: S310 - the scheme was checked with the config
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    host = request.host or "the server"
    try:
        with (
            urllib.request.build_opener(_SameScheme).open(request, timeout=30) as answer,
            path.open("wb") as file,
        ):
            total = int(answer.headers.get("Content-Length") or 0) or None
            done = 0
            while chunk := answer.read(2**18):
                done += len(chunk)
                if done > MAX_DOWNLOAD:
                    raise JobFailure(f"The data set at {host} is larger than {MAX_DOWNLOAD // 2**30} GiB")
                file.write(chunk)
                progress("Fetching the data set", done, total, "B")
            if total and done < total:
                raise JobFailure(
                    f"The data set at {host} was interrupted after {done} of {total} bytes: run the job again"
                )
    except urllib.error.HTTPError as error:
        error.close()  # the error is itself an open response
        raise JobFailure(f"{host} answered {error.code} for the data set: check its url and token") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise JobFailure(f"The data set could not be downloaded from {host}: {reason}") from None


def _fetch_from_hub(source: DatasetSource, path: Path, progress: Progress, limit: int | None) -> str:
    """Write the rows to ``path``, one per line; return the data set's name."""
    try:
        import datasets
    except ImportError:
        raise JobFailure(
            f"Hugging Face data sets need one more package. Install it with: {install_command('hub')}"
        ) from None
    name, split = source["name"], source.get("split") or "train"
    progress(f"Fetching the data set {name}", 0, None, "rows")
    try:
        table = datasets.load_dataset(
            name, source.get("subset"), split=split, token=os.environ.get("HF_TOKEN")
        )
        with path.open("w", encoding="utf-8") as file:
            for number, record in enumerate(table, 1):
                file.write(json.dumps(record, default=str) + "\n")
                if limit is not None and number >= limit:
                    break
    except Exception as error:  # noqa: BLE001 - the library raises dozens of types, all to be shown to the user
        raise JobFailure(f"The data set {name} (split {split}) could not be loaded: {error}") from None
    return f"{name} ({split})"
