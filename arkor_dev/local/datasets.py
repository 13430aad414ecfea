"""Training rows from a file, the web or the model hub, each checked and told apart by where it stands.

A row becomes a list of chat messages, whatever form it came in. Bad data ends the job with file, line and
reason, never with a silent skip: a person who trains on half of their data should know it.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from .errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]

MAX_LINE: Final = 4 * 2**20
MAX_DOWNLOAD: Final = 2 * 2**30
ROLES: Final = frozenset({"system", "user", "assistant", "tool"})
FORMS: Final = "messages, or prompt and completion, or instruction and output"


@dataclass(frozen=True, slots=True)
class Row:
    """One training conversation, and where it stands (``data/chats.jsonl, line 3``)."""

    messages: list[dict[str, Any]]
    where: str


class _Bad(Exception):  # noqa: N818 - a reason on its way to its line number
    pass


def inside(project: Path, path: str) -> Path:
    """The real path of a data file. Once symlinks are resolved it must lie in the project, or in the folder
    that one of the project's own folders links to (a large data set on another disk).
    """
    root = project.resolve()
    try:
        real = (root / path).resolve()
        home = _home(root, root / path)
    except (OSError, RuntimeError, ValueError) as error:
        raise JobFailure(f"The data file {path!r} cannot be resolved: {error}") from None
    if not real.is_relative_to(home):
        raise JobFailure(
            f"The data file {path!r} lies outside the project {root.name}: move it into the project"
        )
    if not real.exists():
        raise JobFailure(
            f"The data file {path!r} does not exist in the project {root.name}: check dataset's path"
        )
    if not real.is_file():
        raise JobFailure(
            f"The data file {path!r} is not a file: name a .jsonl file with one JSON object a line"
        )
    return real


def _home(root: Path, named: Path) -> Path:
    """The folder that ``named`` may not leave: the target of its first folder that is a link, or ``root``."""
    if ".." not in named.parts and named.is_relative_to(root):
        for folder in reversed(named.parents):
            if folder != root and folder.is_relative_to(root) and folder.is_symlink():
                return folder.resolve()
    return root


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
        with path.open("rb") as file:
            for number, line in _lines(file, name):
                where = f"{name}, line {number}"
                try:
                    rows.append(Row(_messages(_parse(line, number)), where))
                except _Bad as reason:
                    raise JobFailure(f"{where}: {reason}") from None
                if limit is not None and len(rows) >= limit:
                    break
    except OSError as error:
        raise JobFailure(f"{name} cannot be read: {error.strerror or error}") from None
    if not rows:
        raise JobFailure(f"{name} is empty: write one JSON object a line, with the keys {FORMS}")
    return rows


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise JobFailure(
                f"{name}, line {number}: longer than {MAX_LINE // 2**20} MiB; split it into smaller rows"
            )
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield number, line


def _parse(line: bytes, number: int) -> object:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise _Bad(
            f"not UTF-8 (byte {error.start + 1} is 0x{line[error.start]:02x}); save the file as UTF-8"
        ) from None
    if number == 1 and text.lstrip().startswith("["):
        raise _Bad("begins a JSON list; write one JSON object a line instead (JSON Lines)")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _Bad(f"not JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise _Bad("not JSON that can be read: nested too deeply") from None


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise _Bad(f"{key} must be text, not {type(value).__name__}")
    return value


def _messages(row: object) -> list[dict[str, Any]]:
    if not isinstance(row, dict):
        raise _Bad(f"must be a JSON object with the keys {FORMS}, not {type(row).__name__}")
    if "messages" in row:
        return _checked(row["messages"])
    if "prompt" in row and "completion" in row:
        prompt, completion = row["prompt"], row["completion"]
        if isinstance(prompt, list) and isinstance(completion, list):
            return _checked([*prompt, *completion])
        return _checked(_turn(_text(row, "prompt"), _text(row, "completion")))
    if "instruction" in row and "output" in row:
        extra = _text(row, "input").strip() if row.get("input") is not None else ""
        asked = _text(row, "instruction") + (f"\n\n{extra}" if extra else "")
        return _checked(_turn(asked, _text(row, "output")))
    keys = ", ".join(map(str, list(row)[:8])) or "none"
    raise _Bad(f"has the keys {keys}; wanted {FORMS}")


def _turn(asked: str, answered: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def _checked(messages: object) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise _Bad("messages must be a list with at least one user and one assistant message")
    answered = False
    for place, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise _Bad(f"message {place} must be an object with role and content")
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise _Bad(f"message {place} has the role {role!r}; wanted system, user, assistant or tool")
        if content is None and message.get("tool_calls"):
            continue
        if not isinstance(content, str):
            raise _Bad(f"message {place} has no text in content")
        answered = answered or (role == "assistant" and bool(content.strip()))
    if not answered:
        raise _Bad("has no assistant message with text, so there is nothing to learn from it")
    return messages


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
            rows.append(Row(_messages(record), where))
        except _Bad as reason:
            raise JobFailure(f"{where}: {reason}") from None
        if limit is not None and number >= limit:
            break
    if not rows:
        raise JobFailure(f"The data set {name} (split {split}) is empty")
    return rows
