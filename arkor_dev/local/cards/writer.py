"""Writes the model card and provenance of each saved result, and updates the card after later measurements.

The provenance is written once, with the files that it describes. The card is generated from it and from later
measurements; the user's own text in it is kept. An error here does not affect the training run.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import TRAINING_MESSAGE, TrainingMessage
from arkor_dev.contract.provenance.statement import CARD, FILE, StatementError, read_statement
from arkor_dev.contract.regular_files import read_inside
from arkor_dev.data.findings.privacy import Private, PrivateError
from arkor_dev.local.evaluation import results
from arkor_dev.local.jobs import atomic_folder
from arkor_dev.local.jobs.job_config import ADJUSTED
from arkor_dev.local.jobs.job_folder import FINAL, adapter_folder, job_folder
from arkor_dev.local.models.catalog import portable_name

from . import provenance
from .base_card import card_of_base
from .card import card_of
from .sample_file import samples_in
from .user_text import EMPTY, UserText

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from arkor_dev.contract.provenance.statement import Statement

    from .card import Usage

    Files = Mapping[str, atomic_folder.FileEntry]

LIMIT: Final = 1 << 20
"""Maximum bytes of a card to read."""
PART: Final = "card.part"


class CardWriter:
    """Writes both into each folder that a run saves; ``preparation`` is that of the next run.

    Nothing is read before the first folder is saved, since a forecast saves none.
    """

    def __init__(self, preparation: Any, run: Any) -> None:
        self._preparation, self._run = preparation, run
        self._facts: provenance.RunFacts | None = None
        self._private: Private | None = None

    def __call__(self, folder: Path, files: Files, artifact: str, step: int) -> None:
        """Write both into ``folder``, whose ``files`` have these sizes and hashes.

        ``artifact`` is ``final`` or ``checkpoint``. Raises OSError if writing fails.
        """
        try:
            private = self._private = self._private or _private_of(self._preparation)
            facts = self._facts = self._facts or facts_of(self._preparation, self._run, private)
            moment = self._moment(artifact, step)
            statement = provenance.statement(files, facts, moment)
            text = private.check(json.dumps(statement, indent=1, ensure_ascii=False))
            card = private.check(card_of(statement, private))
        except PrivateError as fault:
            self._say(f"No card was written beside the {artifact} of step {step}: it would reveal {fault}")
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - a failed card must not cost the trained weights
            traceback.print_exc()
            self._say(f"No card was written beside the {artifact} of step {step}: {type(error).__name__}")
        else:
            (folder / FILE).write_text(f"{text}\n", encoding="utf-8")
            # An extended job writes its final folder again.
            previous = folder.with_name(folder.name.removesuffix(atomic_folder.PART)) / CARD
            user_text = EMPTY
            with contextlib.suppress(OSError):
                user_text = user_text_of(previous)
            (folder / CARD).write_text(user_text.around(card), encoding="utf-8")

    def _say(self, message: str) -> None:
        self._run.emit(TrainingMessage(type=TRAINING_MESSAGE, message=message))

    def _moment(self, artifact: str, step: int) -> provenance.Moment:
        run, now = self._run, datetime.now(UTC)
        started = now.timestamp() - (time.monotonic() - run.began)
        loss = run.best.loss if artifact == FINAL and step != run.step else run.best.last
        moment: provenance.Moment = {
            "artifact": artifact,
            "step": step,
            "figures": {"loss": run.last_loss, "evalLoss": loss, "steps": run.step},
            "startedOn": _time(datetime.fromtimestamp(started, UTC)),
            "finishedOn": _time(now),
        }
        job = job_folder(self._preparation.data, self._preparation.job_id)
        # Checkpoints have the strength that was trained.
        budget = results.budget_in(results.read(results.history_file(job))) if artifact == FINAL else None
        if budget:
            moment["budget"] = provenance.budget_of(budget)
        return moment


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _private_of(preparation: Any) -> Private:
    """Return texts that would identify this machine or user, such as the job's folders and tokens."""
    config = preparation.config
    sources = [config.get(name) or {} for name in ("datasetSource", "evalDatasetSource")]
    parts = [part for source in sources for part in (source, *source.get("sources", ()))]
    secrets = [part["token"] for part in parts if isinstance(part.get("token"), str)]
    return Private.of_this_machine((preparation.data.resolve(), preparation.project.resolve()), secrets)


def facts_of(preparation: Any, run: Any, private: Private) -> provenance.RunFacts:
    """Return the facts about the whole run."""
    from arkor_dev.local.modeling.auto_class import has_vision_tower, is_encoder  # imports transformers

    config, origin = preparation.config, run.saving.origin()
    instructions = preparation.continuation.options
    rows: provenance.RowCounts = {
        "sha256": origin.get("rows"),
        "train": run.rows["train"],
        "heldOut": run.rows["heldOut"],
    }
    name = portable_name(run.source.name)
    base = card_of_base(run.source.name, preparation.path, preparation.project)
    if base["hub"] or private.private_kind(name) is None:
        base["name"] = name
    if run.source.note:
        base["note"] = run.source.note
    hardware = {
        "device": run.base.device,
        "processor": origin.get("processor"),
        "numberFormat": run.choice.name,
    }
    internal: dict[str, object] = {
        "settings": provenance.public_settings(run.settings, private),
        "base": base,
        "adapter": run.plan.adapter is not None,
        "rows": {"train": rows["train"], "heldOut": rows["heldOut"]},
        "totalSteps": run.plan.steps,
        "trainableParameters": sum(weight.numel() for weight in run.trainable),
        "threads": origin.get("threads"),
        **{
            key: value
            for key, value in hardware.items()
            if isinstance(value, str) and not private.private_kind(value)
        },
    }
    if has_vision_tower(run.base.model.config):
        internal["sees"] = True
    if is_encoder(run.base.model.config):
        internal["encoder"] = True
    if instructions.get("further") is not None:
        internal["extendedAfter"] = instructions["further"]
    if adjusted := config.get(ADJUSTED):
        internal["adjusted"] = provenance.adjustments(adjusted, private)
    data = provenance.public_data(config, private)
    external: provenance.Request = {"settings": provenance.public_settings(config, private), "data": data}
    folders = (preparation.project, preparation.path, preparation.data, preparation.job_id)
    return {
        "job": preparation.job_id,
        "external": external,
        "internal": internal,
        "dependencies": provenance.dependencies(config, *folders, rows, preparation.more_models),
        "builder": provenance.builder(origin.get("versions", {})),
    }


def describe_merged(source: Path, folder: Path, strength: float = 1.0, usage: Usage = ()) -> None:
    """Write both into ``folder``, which contains a base model merged with the adapter of ``source``.

    ``strength`` is the scale at which the adapter was merged. The card has the lines of ``usage``; without
    them it says how Python libraries load the model. Nothing is written if it has no provenance.
    """
    _describe(source, folder, {"adapter": False, "merged": True}, strength, EMPTY, usage)


def describe_lora(source: Path, folder: Path, strength: float, usage: Usage) -> None:
    """Write both into ``folder``, which has the adapter of ``source`` as GGUF; keep the user's text."""
    user_text = EMPTY
    with contextlib.suppress(OSError):
        user_text = user_text_of(source / CARD)
    _describe(source, folder, {}, strength, user_text, usage)


def _describe(
    source: Path,
    folder: Path,
    changes: dict[str, object],
    strength: float,
    user_text: UserText,
    usage: Usage,
) -> None:
    paths = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    changes |= {} if strength == 1 else {"strength": strength}
    for form in ("gguf", "onnx"):
        changes |= {"weights": form} if any(name.endswith(f".{form}") for name in paths) else {}
    private = Private.of_this_machine()
    with contextlib.suppress(StatementError, PrivateError, FileNotFoundError):
        parent = read_statement(source)
        files = {name: atomic_folder.described(path) for name, path in paths.items()}
        statement = provenance.of_export(files, parent, changes)
        job, step = (source.parent, None) if source.name == FINAL else (source.parents[1], int(source.name))
        text = private.check(json.dumps(statement, indent=1, ensure_ascii=False))
        card = private.check(_card_of(statement, private, job, step, usage))
        (folder / FILE).write_text(f"{text}\n", encoding="utf-8")
        (folder / CARD).write_text(user_text.around(card), encoding="utf-8")


def rewrite_card(data: Path, job_id: str, step: int | None = None) -> None:
    """Update the card of a job's final adapter, or of its checkpoint of ``step``.

    The user's text is kept. Does nothing without a provenance, or if writing fails.
    """
    folder, job = adapter_folder(data, job_id, step), job_folder(data, job_id)
    private = Private.of_this_machine((data.resolve(),))
    try:
        card = private.check(_card_of(read_statement(folder), private, job, step))
        _replace(folder / CARD, user_text_of(folder / CARD).around(card), job / PART)
    except (OSError, StatementError, PrivateError):
        return
    except Exception:  # noqa: BLE001 - a failed card must not cost the measurement
        traceback.print_exc()


def _card_of(statement: Statement, private: Private, job: Path, step: int | None, usage: Usage = ()) -> str:
    """Return the card for ``statement``, with the evaluation and samples in the folder ``job``."""
    stored = results.read(results.result_file(job, step))
    evaluation = stored.get("evaluation") if isinstance(stored, dict) else None
    return card_of(statement, private, evaluation, samples_in(job), usage)


def user_text_of(path: Path) -> UserText:
    """Return the user's text in a card. Raises OSError if that cannot be determined."""
    try:
        return UserText.of(read_inside(path.parent, path.name, LIMIT).decode())
    except FileNotFoundError:
        return EMPTY
    except UnicodeDecodeError:
        raise OSError("it is not text") from None


def _replace(path: Path, text: str, part: Path) -> None:
    """Write ``text`` to ``path`` atomically; ``part`` is a temporary path outside the hashed folders."""
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
