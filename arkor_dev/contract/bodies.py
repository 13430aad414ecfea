"""Schemas for parts of request bodies that several calls share; both sides check by them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from .export_formats import EXPORT_FORMATS, QUANTIZED_FORMATS
from .placement import ON, WORKERS
from .rules import FILLED, FLAG, Rule, above_zero, filled, integer, string, text_line
from .schema import Field, Schema, any_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .json_types import JsonObject


def changes_fault(changes: Mapping[str, object]) -> str | None:
    """Return what is wrong with changed settings; see ``changes.problem``."""
    from .changes import problem  # the settings table is not needed before the page's first byte

    return problem(changes)


def _step_of(adapter: dict[str, object]) -> str | None:
    if adapter["kind"] == "checkpoint" and adapter.get("step") is None:
        return "step is missing: a checkpoint needs one"
    return None


ADAPTER: Final = Schema(
    Field("kind", Rule("choice", choices=("final", "checkpoint")), needed=True),
    Field("jobId", FILLED, needed=True),
    Field("step", Rule("whole"), null=True),
    also=_step_of,
)
"""``{kind: "final", jobId}`` or ``{kind: "checkpoint", jobId, step}``."""

_TEXT: Final = string("a text of 1 to 20,000 characters", lambda text: text.strip() and len(text) <= 20_000)
CLASSIFY: Final = Schema(
    Field("adapter", Rule("object"), needed=True, inner=ADAPTER), Field("text", _TEXT, needed=True)
)
"""``{adapter, text}``: a classifier, and a text to label."""

SEARCHED: Final = 500
"""Maximum number of texts that one search ranks."""
SEARCH_CHARACTERS: Final = 500_000
"""Maximum number of characters of those texts in total."""


def _too_long(body: dict[str, list[str]]) -> str | None:
    if sum(map(len, body["texts"])) > SEARCH_CHARACTERS:
        return f"texts must have at most {SEARCH_CHARACTERS:,} characters in total: send fewer at once"
    return None


SEARCH: Final = Schema(
    Field("adapter", Rule("object"), needed=True, inner=ADAPTER),
    Field("query", filled(2000), needed=True),
    Field(
        "texts",
        Rule(
            "list",
            1,
            SEARCHED,
            f"a list of 1 to {SEARCHED} texts of 1 to 20,000 characters",
            test=lambda texts: all(map(_TEXT.fits, texts)),
        ),
        needed=True,
    ),
    also=_too_long,
)
"""``{adapter, query, texts}``: an embedder or a reranker, and texts to rank for the query."""

ENGINES: Final = ("auto", "exact", "llama.cpp")
"""What can compute an answer. ``exact`` is transformers with unmodified weights."""

MOST_SEEDS: Final = 10
"""Maximum number of seeds that one start can train."""

NAME_LIMIT: Final = 200
NOTES_LIMIT: Final = 10_000
TAGS_LIMIT: Final = 50
TAG_LIMIT: Final = 50
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters except tab and line feed, line separators, and marks that change text direction."""


def absolute_path(noun: str) -> Rule:
    return string(noun, lambda path: path.startswith("/") and "\0" not in path)


def _line(text: str, limit: int) -> bool:
    is_filled = bool(text.strip()) and len(text) <= limit
    return is_filled and not _CONTROLS.search(text) and not re.search(r"[\t\n]", text)


JOB_CHANGES: Final = Schema(
    Field(
        "name",
        string(
            f"one line of 1 to {NAME_LIMIT} characters, without control characters",
            lambda text: _line(text, NAME_LIMIT),
        ),
    ),
    Field(
        "notes",
        string(
            f"text of at most {NOTES_LIMIT:,} characters, without control characters",
            lambda text: len(text) <= NOTES_LIMIT and not _CONTROLS.search(text),
        ),
    ),
    Field(
        "tags",
        Rule(
            "list",
            0,
            TAGS_LIMIT,
            f"a list of at most {TAGS_LIMIT} tags, each one line of 1 to {TAG_LIMIT} characters "
            "without a comma or a control character",
            test=lambda tags: all(
                isinstance(tag, str) and _line(tag, TAG_LIMIT) and "," not in tag for tag in tags
            ),
        ),
    ),
    Field("starred", FLAG),
    also=any_of("name", "notes", "tags", "starred"),
)
"""Changes to a job's details: any of ``{name, notes, tags, starred}``."""


def job_changes(body: dict[str, Any]) -> dict[str, Any]:
    """Validate a body by ``JOB_CHANGES``; strip names and tags and drop repeated tags."""
    tidy: dict[str, object] = {}
    if "name" in body:
        tidy["name"] = body["name"].strip()
    if "tags" in body:
        tidy["tags"] = list(dict.fromkeys(tag.strip() for tag in body["tags"]))
    return body | tidy


EVALUATE: Final = Schema(
    Field("step", Rule("whole", 1), null=True),
    Field("force", FLAG, null=True),
    Field("data", text_line(1000, "the path of a file or folder of the project"), null=True),
    Field("strengths", FLAG, null=True),
)
"""``{step?, force?, data?, strengths?}``: the checkpoint, whether to accept changed data, the file of rows,
and whether the final adapter is measured at several strengths.
"""

PEER_ADAPTER: Final = Schema(
    Field("path", absolute_path("the absolute path of a folder"), needed=True),
    Field("data", text_line(1000, "the path of a file or folder of the project"), needed=True),
    Field("model", text_line(500, "a model's name"), null=True),
)
"""``{path, data, model?}``: another program's adapter, the rows to judge it on, and its base."""

QUESTION_LIMIT: Final = 4000


def _two_answer(body: dict[str, object]) -> str | None:
    return "one and other must be two" if body["one"] == body["other"] else None


VOTE: Final = Schema(
    Field("voter", text_line(40), needed=True),
    Field("one", text_line(300, "a model's name, on one line"), needed=True),
    Field("other", text_line(300, "a model's name, on one line"), needed=True),
    Field("choice", Rule("choice", choices=("one", "other", "tie")), needed=True),
    Field("left", Rule("choice", choices=("one", "other")), needed=True),
    Field("question", filled(QUESTION_LIMIT), needed=True),
    also=_two_answer,
)
"""``{voter, one, other, choice, left, question}``: a blind preference between two answers."""


QUANTIZATIONS: Final = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0")
"""Quantization types of a GGUF file, most exact first."""
USUAL_QUANTIZATION: Final = "q8_0"


def _export(body: JsonObject) -> str | None:
    if body.get("quantization") is not None and body["format"] not in QUANTIZED_FORMATS:
        quantized = " and ".join(QUANTIZED_FORMATS)
        return f"quantization goes with {quantized} alone, and not with {body['format']}"
    if body.get("strength", 1) != 1 and body["format"] == "adapter":
        return "An adapter is exported unchanged: strength applies to the other formats"
    return None


EXPORT: Final = Schema(
    Field("format", Rule("choice", choices=EXPORT_FORMATS), needed=True),
    Field("step", integer(1), null=True),
    Field("quantization", Rule("choice", choices=QUANTIZATIONS), null=True),
    Field("strength", Rule("number", 0, 1.5, above=True)),
    Field("attended", FLAG, null=True),
    also=_export,
)
"""``{format, step?, quantization?, strength?, attended?}``: exports the final adapter, or a checkpoint."""


def _is_order(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(job_id, str) and job_id for job_id in value)
        and len(set(value)) == len(value)
    )


QUEUE_CHANGES: Final = Schema(
    Field("order", Rule("other", noun="a list of job ids, each once", test=_is_order)),
    Field("held", FLAG),
    also=any_of("order", "held"),
)
"""``{order?, held?}``."""

RESUMPTION: Final = Schema(Field("force", FLAG), Field("on", ON), Field("workers", WORKERS))
"""``{force?, on?, workers?}``."""


def _new_end(body: dict[str, object]) -> str | None:
    if len({"maxSteps", "numTrainEpochs"} & body.keys()) != 1:
        return "Set the new end: either maxSteps or numTrainEpochs"
    return None


EXTENSION: Final = Schema(
    Field("maxSteps", integer(1)),
    Field("numTrainEpochs", above_zero(10_000)),
    Field("schedule", Rule("choice", choices=("continue", "restart"))),
    Field("force", FLAG),
    also=_new_end,
)
"""``{maxSteps | numTrainEpochs, schedule?, force?}``."""


def _adjustment_fault(body: dict[str, dict[str, object]]) -> str | None:
    from .settings import by_field  # not needed before the page's first byte

    known = by_field()
    for field in body["settings"]:
        if field in known and not known[field].adjustable:
            return (
                f"{known[field].key} cannot change while a job continues: its model, adapter, data and "
                "batches stay. Run it again instead"
            )
    return changes_fault(body["settings"])


ADJUSTMENT: Final = Schema(
    Field("settings", Rule("object", test=bool, noun="an object of settings by field"), needed=True),
    Field("force", FLAG),
    also=_adjustment_fault,
)
"""``{settings, force?}``; null removes a setting."""

CONFIG: Final = Schema(Field("config", Rule("object"), needed=True))
"""``{config}``: a job's, which is checked by whoever runs it."""

RENDER: Final = Schema(
    Field("record", Rule("object"), needed=True), Field("source", Rule("whole", 0, 99), null=True)
)
"""``{record, source?}``: a row that is not in a file, and the source that it would be of."""

PARENT: Final = Schema(
    Field("jobId", text_line(200, "a job's id"), needed=True), Field("step", integer(1), null=True)
)
"""``{jobId, step?}``; without a step, the final adapter."""


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or len(value) > 40:
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


TIME: Final = Rule("other", noun="a time with its zone, as ISO 8601", test=_is_time)
SWEEP: Final = Schema(
    Field("name", text_line(200, "one line of text"), needed=True),
    Field("config", Rule("object"), needed=True),
    Field("space", Rule("object"), null=True),
    Field("deadline", TIME, null=True),
    Field("jobs", integer(2, 500), null=True),
    Field(
        "sources",
        Rule("object"),
        null=True,
        inner=Schema(Field("runs", integer(8, 16), null=True), Field("steps", integer(1, 10**7), null=True)),
    ),
)
"""``{name, config, space, deadline?, jobs?}``, one of the last two, or ``{name, config, sources}``."""
