"""``arkor.toml``: the trainers that a project declares without writing code.

Every problem of a file is found in one reading and named with file, line, key and what is allowed: a
person who corrects three lines at once should not have to ask three times. A trainer that is wrong keeps
none of the others from being run.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import time
import tomllib
from typing import TYPE_CHECKING, cast

from arkor_dev.contract import settings
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.rules import quoted, shortened, text_line

from .dataset_source import KEYS as DATASET_KEYS
from .dataset_source import DatasetError, file_source, look_at, table_source
from .toml_limits import SIZE_LIMIT, TomlLimitError, check_limits
from .toml_positions import Path as KeyPath
from .toml_positions import key_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource, JobConfig, Trainer

FILE = "arkor.toml"
NAME = text_line(80)
SHOWN_PROBLEMS = 8
TRAINERS = 200
DATA_SECONDS = 0.5
"""After so much time no further data file is opened."""
# Too short for a likeness to show, and common elsewhere.
ABBREVIATIONS = {"lr": "learning_rate", "rank": "r", "lora_r": "lora", "data": "dataset"}


def load_trainers(project: Path) -> list[Trainer]:
    """The trainers of ``<project>/arkor.toml``, in the file's order, at least one.

    One that cannot be run has a ``problem``: what is wrong with its table, or the first fault of its data
    file. Raises BadRequestError when the file as a whole says nothing: one line a problem, as
    ``arkor.toml:<line>: <what>``.
    """
    text = _read(project / FILE)
    try:
        check_limits(text)
        document = tomllib.loads(text)
    except TomlLimitError as fault:
        raise BadRequestError(f"{FILE}:{fault.line}: {fault}. No trainer needs that; shorten it") from None
    except (ValueError, RecursionError) as fault:
        raise BadRequestError(_syntax_error(fault, text)) from None
    lines = key_lines(text)
    problems = _Problems(lines)
    trainers = _trainers(project, document, problems)
    if problems:
        raise BadRequestError(problems.text())
    _mark_duplicates(trainers, lines)
    _check_data(project, trainers)
    return trainers


def revision(project: Path) -> str:
    """A short text that stands for the content of ``arkor.toml``; raises ArkorError as above."""
    return hashlib.sha256(_read(project / FILE).encode()).hexdigest()[:16]


def choose(trainers: list[Trainer], name: str | None) -> Trainer:
    """The trainer called ``name``, or the first, to be run.

    Raises BadRequestError when there is none of that name, and with its ``problem`` when it has one.
    """
    for trainer in trainers:
        if name is None or trainer["name"] == name:
            if "problem" in trainer:
                raise BadRequestError(trainer["problem"])
            return trainer
    assert name is not None  # an arkor.toml without a trainer is a problem of the whole file
    names = [trainer["name"] for trainer in trainers]
    raise BadRequestError(f"{FILE} has no trainer {quoted(name)}.{_suggest(name, names, 'It has')}")


class _Problems:
    """What is wrong, each with the line where it stands. Texts are made when they are shown."""

    def __init__(self, lines: dict[KeyPath, int]) -> None:
        self.lines = lines
        self._found: list[tuple[int, Callable[[], str]]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, at: KeyPath, text: str) -> None:
        """Something is wrong with the key ``at``, or with the nearest above it that has a line."""
        self._add(at, lambda: text)

    def not_allowed(self, at: KeyPath, value: object, allowed: str) -> None:
        """A value is not one of those that are ``allowed``, in words."""
        self._add(at, lambda: f"{_spelled(at)} = {quoted(value)} is not possible. Allowed is {allowed}")

    def check_keys(self, at: KeyPath, table: dict[str, object], allowed: Sequence[str]) -> bool:
        """Whether ``table`` has none but the ``allowed`` keys; each other one is a problem."""
        unknown = [key for key in table if key not in allowed]
        for key in unknown:
            self._unknown_key((*at, key), key, allowed)
        return not unknown

    def _unknown_key(self, at: KeyPath, key: str, allowed: Sequence[str]) -> None:
        self._add(at, lambda: f"unknown key {_spelled(at)}.{_suggest(key, allowed, 'Allowed here')}")

    def _add(self, at: KeyPath, text: Callable[[], str]) -> None:
        self._found.append((_line(self.lines, at), text))

    def text(self) -> str:
        """One line a problem, in the order of the file, the first few of them."""
        found = sorted(self._found, key=lambda problem: problem[0])
        lines = [f"{FILE}:{line}: {text()}" for line, text in found[:SHOWN_PROBLEMS]]
        if len(found) > SHOWN_PROBLEMS:
            lines.append(f"… and {len(found) - SHOWN_PROBLEMS} more")
        return "\n".join(lines)


def _trainers(project: Path, document: dict[str, object], problems: _Problems) -> list[Trainer]:
    """Every ``[[trainer]]``; what is wrong with the document around them goes into ``problems``."""
    problems.check_keys((), document, ("trainer",))
    blocks = document.get("trainer")
    if blocks is None:
        problems.add(
            (),
            "there is no [[trainer]]. Add one with name, model and dataset, "
            "or let `arkor-dev init` write an example into an empty folder",
        )
    elif isinstance(blocks, dict):
        problems.add(("trainer",), "write [[trainer]] with two brackets: a project may have several")
    elif not isinstance(blocks, list) or not blocks or not all(isinstance(block, dict) for block in blocks):
        problems.add(("trainer",), "trainer must be one or several [[trainer]] tables")
    elif len(blocks) > TRAINERS:
        problems.add(("trainer", TRAINERS), f"more than {TRAINERS} trainers. Put some into another project")
    else:
        return [
            _TableReader(project, problems.lines, ("trainer", index)).read(block)
            for index, block in enumerate(blocks)
        ]
    return []


class _TableReader:
    """Reads one ``[[trainer]]``."""

    def __init__(self, project: Path, lines: dict[KeyPath, int], at: KeyPath) -> None:
        self.project = project
        self.at = at
        self.problems = _Problems(lines)

    def read(self, block: dict[str, object]) -> Trainer:
        """The trainer, with a ``problem`` and nothing to run when its table is wrong."""
        at = self.at
        tables = settings.tables()
        keys = ["name", "dataset", *tables, *(setting.name for setting in settings.below(""))]
        self.problems.check_keys(at, block, keys)
        for key, example in (
            ("name", '"my-bot"'),
            *((row.key, quoted(row.shown)) for row in settings.SETTINGS if row.required),
            ("dataset", '"data/train.jsonl"'),
        ):
            if key not in block:
                self.problems.add(at, f"this [[trainer]] has no {key}. Add {key} = {example}")
        name, named = block.get("name", ""), NAME.fits(block.get("name"))
        if "name" in block and not named:
            self.problems.not_allowed((*at, "name"), name, NAME.words)
        config: dict[str, object] = {}
        self._settings(at, block, "", config)
        if "steps" in block and "epochs" in block:
            self.problems.add(
                (*at, "epochs"), "steps and epochs are both set. Keep the one that should decide the length"
            )
        for table in tables:
            self._table((*at, table), block.get(table), table, config)
        source = self._dataset((*at, "dataset"), block.get("dataset"))
        if source is not None:
            config["datasetSource"] = source
        if self.problems:
            shown = str(name) if named else f"(trainer {cast('int', at[-1]) + 1})"
            return {"name": shown, "problem": self.problems.text()}
        return {"name": str(name), "config": cast("JobConfig", config)}

    def _settings(self, at: KeyPath, block: dict[str, object], table: str, config: dict[str, object]) -> None:
        for setting in settings.below(table):
            if setting.name not in block:
                continue
            value = block[setting.name]
            if setting.rule.fits(value):
                config[setting.field] = value
            else:
                self.problems.not_allowed((*at, setting.name), value, setting.rule.words)

    def _table(self, at: KeyPath, block: object, table: str, config: dict[str, object]) -> None:
        allowed = {setting.name: setting.shown for setting in settings.below(table)}
        if isinstance(block, dict):
            self.problems.check_keys(at, block, list(allowed))
            self._settings(at, block, table, config)
        elif block is not None:
            example = ", ".join(f"{name} = {quoted(value)}" for name, value in allowed.items())
            self.problems.not_allowed(at, block, f"a table, such as {{ {example} }}")

    def _dataset(self, at: KeyPath, dataset: object) -> DatasetSource | None:
        if dataset is None:
            return None
        try:
            if isinstance(dataset, str):
                return file_source(self.project, dataset)
            if isinstance(dataset, dict):
                return table_source(dataset) if self.problems.check_keys(at, dataset, DATASET_KEYS) else None
        except DatasetError as fault:
            place = at if fault.key is None else (*at, fault.key)
            self.problems.add(place, f"{_spelled(place)}: {fault}")
            return None
        self.problems.not_allowed(at, dataset, 'a path, or a table such as { huggingface = "owner/name" }')
        return None


def _mark_duplicates(trainers: list[Trainer], lines: dict[KeyPath, int]) -> None:
    """Only the first trainer of a name can be asked for by it."""
    first: dict[str, int] = {}
    for index, trainer in enumerate(trainers):
        name = trainer["name"]
        if first.setdefault(name, index) != index:
            line, there = (_line(lines, ("trainer", n, "name")) for n in (index, first[name]))
            text = f"a trainer called {quoted(name)} is on line {there} already. Names must differ"
            trainers[index] = {
                "name": f"{name} (line {line})",
                "problem": trainer.get("problem", f"{FILE}:{line}: {text}"),
            }


def _check_data(project: Path, trainers: list[Trainer]) -> None:
    """Add what a look at the data files tells, as far as there is time for it."""
    until = time.monotonic() + DATA_SECONDS
    for trainer in trainers:
        if "problem" in trainer or time.monotonic() > until:
            continue
        data = look_at(project, trainer["config"]["datasetSource"])
        if data.rows is not None:
            trainer["rows"] = data.rows
        if data.problem is not None:
            trainer["problem"] = data.problem


def _line(lines: dict[KeyPath, int], at: KeyPath) -> int:
    while at and at not in lines:
        at = at[:-1]
    return lines.get(at, 1)


def _read(path: Path) -> str:
    try:
        return read_small(path, SIZE_LIMIT).decode()
    except UnicodeDecodeError as fault:
        line = fault.object.count(b"\n", 0, fault.start) + 1
        raise BadRequestError(f"{FILE}:{line}: this line is not UTF-8. Save the file as UTF-8") from None
    except FileNotFoundError:
        raise BadRequestError(
            f"There is no {FILE} in {path.parent}. `arkor-dev init` writes one with a small data set"
        ) from None
    except OSError as fault:
        raise BadRequestError(
            f"{FILE} cannot be read ({fault.strerror}). Check that it is a file you may read"
        ) from None


def _syntax_error(fault: Exception, text: str) -> str:
    """tomllib's text with its place in front; only from 3.14 on does the exception carry it as numbers."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(fault), re.DOTALL)
    if found:
        return f"{FILE}:{found[2]}: not valid TOML at column {found[3]}: {found[1]}"
    return f"{FILE}:{len(text.splitlines()) or 1}: not valid TOML: {fault}"


def _spelled(at: KeyPath) -> str:
    """A key as one would write it inside its ``[[trainer]]``: ``lora.r``."""
    text = ".".join(str(part) for part in (at[2:] if len(at) > 2 else at))
    return shortened(text) if text.isprintable() else quoted(text)


def _suggest(written: str, known: Iterable[str], otherwise: str) -> str:
    names = list(known)
    guess = ABBREVIATIONS.get(written, written)
    spelled = guess.lower().replace("-", "_")
    near = difflib.get_close_matches(guess, names, n=1) or difflib.get_close_matches(spelled, names, n=1)
    if near:
        return f" Did you mean {near[0]}?"
    return f" {otherwise}: {', '.join(names)}"
