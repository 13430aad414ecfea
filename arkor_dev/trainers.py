"""``arkor.toml``: the trainers that a project declares without writing code.

Every problem of a file is found in one reading and named with file, line, key and what is allowed: a
person who corrects three lines at once should not have to ask three times.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from typing import TYPE_CHECKING, cast

from .dataset_source import DatasetError, count_rows, file_source, table_source
from .errors import StudioError
from .toml_lines import Path as KeyPath
from .toml_lines import key_lines
from .trainer_options import DATASET_KEYS, LORA_KEYS, LORA_OPTIONS, TRAINER_KEYS, TRAINER_OPTIONS, is_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .contract import DatasetSource, JobConfig, Trainer
    from .trainer_options import Option

FILE = "arkor.toml"
NAME_LIMIT = 80
FILE_LIMIT = 1024 * 1024
SHOWN_PROBLEMS = 8
# Too short for a likeness to show, and common elsewhere.
ABBREVIATIONS = {"lr": "learning_rate", "rank": "r", "lora_r": "lora", "data": "dataset"}


def load_trainers(project: Path) -> list[Trainer]:
    """The trainers of ``<project>/arkor.toml``, in the file's order, at least one.

    Raises StudioError 400 with one line a problem: ``arkor.toml:<line>: <what>``.
    """
    text = _read(project / FILE)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise StudioError(400, _syntax_error(fault)) from None
    reader = _Reader(project, key_lines(text))
    trainers = reader.trainers(document)
    if reader.problems:
        lines = [f"{FILE}:{line}: {problem}" for line, problem in sorted(reader.problems)]
        if len(lines) > SHOWN_PROBLEMS:
            lines[SHOWN_PROBLEMS:] = [f"… and {len(lines) - SHOWN_PROBLEMS} more"]
        raise StudioError(400, "\n".join(lines))
    return trainers


def revision(project: Path) -> str:
    """A short text that stands for the content of ``arkor.toml``; raises StudioError as above."""
    return hashlib.sha256(_read(project / FILE).encode()).hexdigest()[:16]


def choose(trainers: list[Trainer], name: str | None) -> Trainer:
    """The trainer called ``name``, or the first; StudioError 400 when there is none of that name."""
    if name is None:
        return trainers[0]
    for trainer in trainers:
        if trainer["name"] == name:
            return trainer
    names = [trainer["name"] for trainer in trainers]
    raise StudioError(400, f"{FILE} has no trainer {_quoted(name)}.{_suggest(name, names, 'It has')}")


class _Reader:
    def __init__(self, project: Path, lines: dict[KeyPath, int]) -> None:
        self.project = project
        self.lines = lines
        self.problems: list[tuple[int, str]] = []

    def trainers(self, document: dict[str, object]) -> list[Trainer]:
        self._check_keys((), document, ("trainer",))
        blocks = document.get("trainer")
        if blocks is None:
            self._problem(
                (),
                "there is no [[trainer]]. Add one with name, model and dataset, "
                "or let `arkor-dev init` write an example into an empty folder",
            )
            return []
        if isinstance(blocks, dict):
            self._problem(("trainer",), "write [[trainer]] with two brackets: a project may have several")
            return []
        if not isinstance(blocks, list) or not blocks or not all(isinstance(block, dict) for block in blocks):
            self._problem(("trainer",), "trainer must be one or several [[trainer]] tables")
            return []
        trainers = [self._trainer(("trainer", index), block) for index, block in enumerate(blocks)]
        self._check_duplicates(trainers)
        return trainers

    def _trainer(self, at: KeyPath, block: dict[str, object]) -> Trainer:
        self._check_keys(at, block, TRAINER_KEYS)
        for key, example in (
            ("name", '"my-bot"'),
            ("model", '"smollm2-135m-instruct"'),
            ("dataset", '"data/train.jsonl"'),
        ):
            if key not in block:
                self._problem(at, f"this [[trainer]] has no {key}. Add {key} = {example}")
        name = block.get("name", "")
        if "name" in block and not is_line(NAME_LIMIT)(name):
            self._not_allowed((*at, "name"), name, f"one line of text, {NAME_LIMIT} characters at most")
        config: dict[str, object] = {}
        self._options(at, block, TRAINER_OPTIONS, config)
        if "steps" in block and "epochs" in block:
            self._problem(
                (*at, "epochs"), "steps and epochs are both set. Keep the one that should decide the length"
            )
        self._lora(at, block, config)
        trainer: Trainer = {"name": str(name), "config": cast("JobConfig", config)}
        source = self._dataset((*at, "dataset"), block.get("dataset"))
        if source is not None:
            config["datasetSource"] = source
            rows = count_rows(self.project, source)
            if rows is not None:
                trainer["rows"] = rows
        return trainer

    def _options(
        self, at: KeyPath, block: dict[str, object], options: Iterable[Option], config: dict[str, object]
    ) -> None:
        for option in options:
            if option.key not in block:
                continue
            value = block[option.key]
            if option.fits(value):
                config[option.field] = value
            else:
                self._not_allowed((*at, option.key), value, option.allowed)

    def _lora(self, at: KeyPath, block: dict[str, object], config: dict[str, object]) -> None:
        lora = block.get("lora")
        if lora is None:
            return
        if not isinstance(lora, dict):
            self._not_allowed((*at, "lora"), lora, "a table, such as { r = 8, alpha = 16 }")
            return
        self._check_keys((*at, "lora"), lora, LORA_KEYS)
        self._options((*at, "lora"), lora, LORA_OPTIONS, config)

    def _dataset(self, at: KeyPath, dataset: object) -> DatasetSource | None:
        if dataset is None:
            return None
        try:
            if isinstance(dataset, str):
                return file_source(self.project, dataset)
            if isinstance(dataset, dict):
                return table_source(dataset) if self._check_keys(at, dataset, DATASET_KEYS) else None
        except DatasetError as fault:
            place = at if fault.key is None else (*at, fault.key)
            self._problem(place, f"{_spelled(place)}: {fault}")
            return None
        self._not_allowed(at, dataset, 'a path, or a table such as { huggingface = "owner/name" }')
        return None

    def _check_keys(self, at: KeyPath, table: dict[str, object], allowed: tuple[str, ...]) -> bool:
        unknown = [key for key in table if key not in allowed]
        for key in unknown:
            place = (*at, key)
            self._problem(place, f"unknown key {_spelled(place)}.{_suggest(key, allowed, 'Allowed here')}")
        return not unknown

    def _check_duplicates(self, trainers: list[Trainer]) -> None:
        first: dict[str, int] = {}
        for index, trainer in enumerate(trainers):
            name = trainer["name"]
            if name and name in first:
                line = self._line(("trainer", first[name], "name"))
                self._problem(
                    ("trainer", index, "name"),
                    f"a trainer called {_quoted(name)} is on line {line} already. Names must differ",
                )
            first.setdefault(name, index)

    def _not_allowed(self, at: KeyPath, value: object, allowed: str) -> None:
        self._problem(at, f"{_spelled(at)} = {_quoted(value)} is not possible. Allowed is {allowed}")

    def _problem(self, at: KeyPath, text: str) -> None:
        self.problems.append((self._line(at), text))

    def _line(self, at: KeyPath) -> int:
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise StudioError(400, f"{FILE} is larger than 1 MiB. Put the data into files and name those")
        return path.read_bytes().decode()
    except UnicodeDecodeError as fault:
        line = fault.object.count(b"\n", 0, fault.start) + 1
        raise StudioError(400, f"{FILE}:{line}: this line is not UTF-8. Save the file as UTF-8") from None
    except FileNotFoundError:
        raise StudioError(
            400, f"There is no {FILE} in {path.parent}. `arkor-dev init` writes one with a small data set"
        ) from None
    except OSError as fault:
        raise StudioError(
            400, f"{FILE} cannot be read ({fault.strerror}). Check that it is a file you may read"
        ) from None


def _syntax_error(fault: Exception) -> str:
    """tomllib's text with its place in front; only from 3.14 on does the exception carry it as numbers."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(fault), re.DOTALL)
    if found:
        return f"{FILE}:{found[2]}: not valid TOML at column {found[3]}: {found[1]}"
    return f"{FILE}: not valid TOML: {fault}"


def _spelled(at: KeyPath) -> str:
    """A key as one would write it inside its ``[[trainer]]``: ``lora.r``."""
    return ".".join(str(part) for part in (at[2:] if len(at) > 2 else at))


def _quoted(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _suggest(written: str, known: Iterable[str], otherwise: str) -> str:
    names = list(known)
    guess = ABBREVIATIONS.get(written, written)
    spelled = guess.lower().replace("-", "_")
    near = difflib.get_close_matches(guess, names, n=1) or difflib.get_close_matches(spelled, names, n=1)
    if near:
        return f" Did you mean {near[0]}?"
    return f" {otherwise}: {', '.join(names)}"
