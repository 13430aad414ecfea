"""``arkor.toml``: the trainers that a project declares without writing code.

One reading reports every problem of a file with file, line, key and the allowed values: a user who corrects
three lines at once should not need three attempts. An invalid trainer does not stop the others.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from typing import TYPE_CHECKING, cast

from arkor_dev.contract import settings
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.rules import quoted, text_line
from arkor_dev.contract.settings.conflicts import conflicts
from arkor_dev.data.sources import SourceError

from .dataset_source import KEYS as DATASET_KEYS
from .dataset_source import check_data, read_source
from .toml import compute, own_sets, sweep
from .toml.limits import SIZE_LIMIT, TomlLimitError, check_limits
from .toml.notify import TABLE, check_notify
from .toml.positions import key_lines
from .toml.problems import FILE, Problems, line_of, spelled, suggest

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource, EvaluationSet, JobConfig, Trainer

    from .toml.positions import Path as KeyPath

NAME = text_line(80)
SHOWN_EXAMPLES = 2
TRAINERS = 200


def load_trainers(project: Path, *, here: bool = False) -> list[Trainer]:
    """Return the trainers of ``<project>/arkor.toml`` in the file's order, at least one.

    One that cannot run has a ``problem``: what is wrong with its table, or the first error of its data file.
    ``here`` as in `check_data`.
    Raises BadRequestError if the file as a whole is unusable: one line per problem, as ``arkor.toml:<line>:
    <what>``.
    """
    trainers = parse(project, read(project))
    check_data(project, trainers, here=here)
    return trainers


def parse(project: Path, text: str) -> list[Trainer]:
    """Like `load_trainers`, with ``text`` instead of the file's, and without reading the data files."""
    try:
        check_limits(text)
        document = tomllib.loads(text)
    except TomlLimitError as fault:
        raise BadRequestError(f"{FILE}:{fault.line}: {fault}. No trainer needs that; shorten it") from None
    except (ValueError, RecursionError) as fault:
        raise BadRequestError(_syntax_error(fault, text)) from None
    lines = key_lines(text)
    problems = Problems(lines)
    trainers = _trainers(project, document, problems)
    if problems:
        raise BadRequestError(problems.text())
    _mark_duplicates(trainers, lines)
    return trainers


def revision(project: Path) -> str:
    """Return a short text that identifies the content of ``arkor.toml``. Raises ArkorError as above."""
    return revision_of(read(project))


def revision_of(text: str) -> str:
    """Return the revision of a file that holds ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def choose(trainers: list[Trainer], name: str | None) -> Trainer:
    """Return the trainer called ``name``, or the first, to be run.

    Raises BadRequestError if it does not exist, or with its ``problem`` if it has one.
    """
    trainer = trainers[index_of(trainers, name)]
    if "problem" in trainer:
        raise BadRequestError(trainer["problem"])
    return trainer


def index_of(trainers: list[Trainer], name: str | None) -> int:
    """Return the index of the trainer ``name``, or of the first for None. Raises BadRequestError."""
    for index, trainer in enumerate(trainers):
        if name is None or trainer["name"] == name:
            return index
    assert name is not None  # an arkor.toml without a trainer is a problem of the whole file
    names = [trainer["name"] for trainer in trainers]
    # The one that is meant may be among those whose name is not allowed.
    nameless = [trainer["problem"] for trainer in trainers if trainer["name"].startswith("(trainer ")]
    more = "".join(f" {problem}" for problem in nameless[:1])
    raise BadRequestError(f"{FILE} has no trainer {quoted(name)}.{suggest(name, names, 'It has')}{more}")


def _trainers(project: Path, document: dict[str, object], problems: Problems) -> list[Trainer]:
    """Return every ``[[trainer]]``; problems of the document around them go into ``problems``."""
    problems.check_keys((), document, ("trainer", TABLE, own_sets.TABLE, compute.TABLE, sweep.TABLE))
    if TABLE in document:
        check_notify(document[TABLE], problems)
    if compute.TABLE in document:
        compute.check_compute(document[compute.TABLE], problems)
    sets: list[EvaluationSet] = []
    if own_sets.TABLE in document:
        sets = own_sets.read_sets(project, document[own_sets.TABLE], problems)
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
        trainers = [
            _TableReader(project, problems.lines, ("trainer", index)).read(block)
            for index, block in enumerate(blocks)
        ]
        if sweep.TABLE in document:
            sweep.read_sweep(document[sweep.TABLE], trainers, problems)
        for trainer in trainers:
            if sets and "config" in trainer:
                trainer["config"]["evaluations"] = sets
        return trainers
    return []


class _TableReader:
    def __init__(self, project: Path, lines: dict[KeyPath, int], at: KeyPath) -> None:
        self.project = project
        self.at = at
        self.problems = Problems(lines)
        self.positions: dict[str, KeyPath] = {}
        """The position of each setting, by its field."""
        self.without_data = False

    def read(self, block: dict[str, object]) -> Trainer:
        """Return the trainer, with a ``problem`` and nothing to run if its table is invalid."""
        at = self.at
        tables = settings.tables()
        self.problems.check_keys(at, block, ["name", "dataset", "eval_dataset", *_names(""), *tables])
        for key, example in (
            ("name", '"my-bot"'),
            *((row.key, quoted(row.sample_value)) for row in settings.SETTINGS if row.required),
            ("dataset", '"data/train.jsonl"'),
        ):
            if key not in block:
                self.problems.add(at, f"this [[trainer]] has no {key}. Add {key} = {example}")
        name, valid_name = block.get("name", ""), NAME.fits(block.get("name"))
        if "name" in block and not valid_name:
            self.problems.not_allowed((*at, "name"), name, NAME.words)
        config: dict[str, object] = {}
        self._settings(at, block, "", config)
        for table in tables:
            self._table((*at, table), block.get(table), table, config)
        self._conflicts(config)
        for key, field in (("dataset", "datasetSource"), ("eval_dataset", "evalDatasetSource")):
            source = self._dataset((*at, key), block.get(key))
            if source is not None:
                config[field] = source
        if "eval_dataset" in block and "eval_split" in block:
            self.problems.add(
                (*at, "eval_split"),
                "eval_dataset and eval_split are both set. Remove one of the two",
            )
        if self.problems:
            label = str(name) if valid_name else f"(trainer {cast('int', at[-1]) + 1})"
            text = self.problems.text()
            trainer: Trainer = {"name": label, "problem": text}
            if self.without_data and "\n" not in text:
                trainer["needsData"] = True
            return trainer
        return {"name": str(name), "config": cast("JobConfig", config)}

    def _settings(self, at: KeyPath, block: dict[str, object], table: str, config: dict[str, object]) -> None:
        method = config.get("method", block.get("method"))
        for row in settings.below(table):
            setting = row.of(method)
            spellings = [name for name in setting.names if name in block]
            if not spellings:
                continue
            index_of = self.positions[setting.field] = (*at, spellings[0])
            if len(spellings) > 1:
                second = spelled((*at, spellings[1]))
                self.problems.add(
                    (*at, spellings[1]), f"{second} means the same as {spelled(index_of)}. Keep one"
                )
            value = block[spellings[0]]
            if setting.rule.fits(value):
                config[setting.field] = value
            else:
                self.problems.not_allowed(index_of, value, setting.rule.words)

    def _conflicts(self, config: dict[str, object]) -> None:
        """Add conflicts between settings, by the keys that were written."""
        rows = settings.by_field()

        def spell(field: str) -> str:
            return spelled(self.positions[field]) if field in self.positions else rows[field].key

        if "maxSteps" in config and "numTrainEpochs" in config:  # a job's config may have both; steps win
            steps, epochs = spell("maxSteps"), spell("numTrainEpochs")
            text = f"{steps} and {epochs} are both set. Remove one of the two"
            self.problems.add(self.positions["numTrainEpochs"], text)
        for field, text in conflicts(config, spell):
            self.problems.add(self.positions[field], text)

    def _table(self, at: KeyPath, block: object, table: str, config: dict[str, object]) -> None:
        if isinstance(block, dict):
            self.problems.check_keys(at, block, _names(table))
            self._settings(at, block, table, config)
        elif block is not None:
            examples = settings.below(table)[:SHOWN_EXAMPLES]
            example = ", ".join(f"{setting.name} = {quoted(setting.sample_value)}" for setting in examples)
            self.problems.not_allowed(at, block, f"a table, such as {{ {example} }}")

    def _dataset(self, at: KeyPath, dataset: object) -> DatasetSource | None:
        if dataset is None:
            return None
        parts = enumerate(dataset) if isinstance(dataset, list) else [(None, dataset)]
        positions = {(*at, index) if index is not None else at: part for index, part in parts}
        tables = {index_of: part for index_of, part in positions.items() if isinstance(part, dict)}
        valid = [self.problems.check_keys(index_of, part, DATASET_KEYS) for index_of, part in tables.items()]
        if not all(valid):
            return None
        try:
            return read_source(self.project, dataset, trained=at[-1] == "dataset")
        except SourceError as fault:
            index_of = at if fault.key is None else (*at, fault.key)
            self.problems.add(index_of, f"{spelled(index_of)}: {fault}")
            self.without_data = at[-1] == "dataset"
            return None


def _names(table: str) -> list[str]:
    """Return every key of a table that is a setting, the aliases last."""
    rows = settings.below(table)
    return [setting.name for setting in rows] + [name for setting in rows for name in setting.names[1:]]


def _mark_duplicates(trainers: list[Trainer], lines: dict[KeyPath, int]) -> None:
    """Mark later trainers of a name: only the first one can be selected by it."""
    first: dict[str, int] = {}
    for index, trainer in enumerate(trainers):
        name = trainer["name"]
        if first.setdefault(name, index) != index:
            line, other_line = (line_of(lines, ("trainer", n, "name")) for n in (index, first[name]))
            text = f"a trainer called {quoted(name)} is on line {other_line} already. Names must be unique"
            trainers[index] = {
                "name": f"{name} (line {line})",
                "problem": trainer.get("problem", f"{FILE}:{line}: {text}"),
            }


def read(project: Path) -> str:
    """Return the text of ``arkor.toml``. Raises BadRequestError if it does not exist or cannot be read."""
    path = project / FILE
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


def _syntax_error(error: Exception, text: str) -> str:
    """Return tomllib's message, position first; only from 3.14 on does the exception have the numbers."""
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error), re.DOTALL)
    if match:
        return f"{FILE}:{match[2]}: not valid TOML at column {match[3]}: {match[1]}"
    return f"{FILE}:{len(text.splitlines()) or 1}: not valid TOML: {error}"
