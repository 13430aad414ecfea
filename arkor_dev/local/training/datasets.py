"""Training rows from a file, the web or the model hub, each checked and told apart by where it stands.

A row becomes a list of chat messages, whatever form it came in. Bad data ends the job with file, line and
reason, never with a silent skip: a person who trains on half of their data should know it.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import open_regular
from arkor_dev.contract.training_rows import RowError, lines_in, messages_of, no_rows, read_row
from arkor_dev.local.jobs.job_config import inside
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]

MAX_DOWNLOAD: Final = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Row:
    """One training conversation, and where it stands (``data/chats.jsonl, line 3``)."""

    messages: list[dict[str, Any]]
    where: str


def load_rows(
    source: Mapping[str, Any], project: Path, scratch: Path, progress: Progress, limit: int | None
) -> list[Row]:
    """Every row of ``source``, or the first ``limit``; raises :class:`JobFailure` on the first bad one."""
    kind = source["type"]
    if kind == "huggingface":
        return _hub_rows(source, progress, limit)
    if kind == "blob":
        scratch.mkdir(parents=True, exist_ok=True)
        path = scratch / "dataset.jsonl"
        _download(source["url"], source.get("token"), path, progress)
        return read_jsonl(path, "the downloaded data set", limit)
    path = inside(project, source["path"])
    return read_jsonl(path, source["path"], limit)


def read_jsonl(path: Path, name: str, limit: int | None = None) -> list[Row]:
    """Read a JSON Lines file; ``name`` is what the person calls it."""
    rows: list[Row] = []
    try:
        with open_regular(path) as file:
            for number, line in lines_in(file, name):
                rows.append(Row(read_row(line, number, name), f"{name}, line {number}"))
                if limit is not None and len(rows) >= limit:
                    break
        if not rows:
            raise no_rows(name)
    except RowError as fault:
        raise JobFailure(str(fault)) from None
    except OSError as error:
        raise JobFailure(f"{name} cannot be read: {error.strerror or error}") from None
    return rows


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects over http(s) only; the token is an unredirected header and stays behind."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith(("http://", "https://")):
            raise JobFailure("The data set's address redirects to something that is not http or https")
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
                    f"The data set at {host} broke off after {done} of {total} bytes: run the job again"
                )
    except urllib.error.HTTPError as error:
        raise JobFailure(f"{host} answered {error.code} for the data set: check its url and token") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise JobFailure(f"The data set could not be fetched from {host}: {reason}") from None


def _hub_rows(source: Mapping[str, Any], progress: Progress, limit: int | None) -> list[Row]:
    try:
        import datasets
    except ImportError:
        raise JobFailure(
            "Data sets of the Hugging Face hub need one more package: pip install 'arkor-dev[hub]'"
        ) from None
    name, split = source["name"], source.get("split") or "train"
    progress(f"Fetching the data set {name}", 0, None, "rows")
    try:
        table = datasets.load_dataset(
            name, source.get("subset"), split=split, token=os.environ.get("HF_TOKEN")
        )
    except Exception as error:  # noqa: BLE001 - the library raises dozens of kinds, all for the person
        raise JobFailure(f"The data set {name} (split {split}) could not be loaded: {error}") from None
    rows = []
    for number, record in enumerate(table, 1):
        where = f"{name} ({split}), row {number}"
        try:
            rows.append(Row(messages_of(record), where))
        except RowError as reason:
            raise JobFailure(f"{where}: {reason}") from None
        if limit is not None and number >= limit:
            break
    if not rows:
        raise JobFailure(f"The data set {name} (split {split}) is empty")
    return rows
