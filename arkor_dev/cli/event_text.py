"""Formats a job's events and queue position as plain lines, and as values for a progress bar.

Events come from elsewhere, so texts are sanitised and numbers checked.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import events
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from arkor_dev.jobs.follow import JobEvent, Waiting

PACE_ROWS: Final = 30
OUTLIER: Final = 10
"""Longest step time that counts, as a multiple of the usual one: a suspended laptop says nothing about speed.
"""
REASONS: Final = {
    "battery": "the machine is on battery; the job resumes when it has power again",
    "yielded": "another job was started, and a sweep's jobs wait for it",
}
"""Why a job is paused, if its event has no message."""
ERROR_LIMIT: Final = 4000
ANSWER_LIMIT: Final = 600
"""Longest sample answer in characters: all of its 64 tokens, or 128 short ones."""
PROMPT_LIMIT: Final = 80
MOST_SETS: Final = 20
PHASES: Final = {
    "fetching": "fetching the model",
    "loading": "loading the data and the model",
    "sampling": "answering prompts",
    "training": "training",
    "evaluating": "evaluating",
    "saving": "saving",
}


@dataclass
class RunLines:
    """Progress of a running job. ``total`` is its number of steps, if known."""

    total: int | None = None
    step: int | None = None
    checkpoint: int | None = None
    ended: str | None = None
    phase: str | None = None
    measure: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    """The latest figures by which the method is judged, of training and of held-out rows, by their labels."""
    now: Callable[[], float] = time.monotonic
    _time_left: tuple[float, float] | None = None
    _verdict: list[str] = field(default_factory=list)
    _times: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=PACE_ROWS))

    def read(self, event: JobEvent) -> str:
        """Process an event; return its line, several for some errors, or an empty text."""
        data = event.data
        if isinstance(data, str):
            return f"{one_line(event.name, 80)}: {one_line(data)}"
        seconds_left = figure(data.get("secondsLeft"))
        if seconds_left is not None:
            self._time_left = seconds_left, self.now()
        match event.name:
            case events.TRAINING_PHASE:
                return self._enters(str(data.get("phase")))
            case events.TRAINING_STARTED:
                return self._started(data.get("metadata"))
            case events.TRAINING_LOG:
                return self._row(data)
            case events.CHECKPOINT_SAVED:
                size, saved = size_of(data.get("artifacts")), figure(data.get("step"))
                if saved is not None and saved >= 0:
                    self.checkpoint = int(saved)
                return f"step {one_line(data.get('step'), 20)}: checkpoint saved" + (
                    f", {size}" if size else ""
                )
            case events.CHECKPOINT_REMOVED:
                return f"step {one_line(data.get('step'), 20)}: checkpoint removed"
            case events.TRAINING_COMPLETED:
                self.ended = "completed"
                return self._completed(data.get("metrics"))
            case events.TRAINING_FAILED:
                self.ended = "failed"
                reason = plain(str(data.get("error") or "no reason given")[:ERROR_LIMIT]).strip()
                return f"failed: {reason}"
            case events.TRAINING_CANCELLED:
                self.ended = "cancelled"
                step = figure(data.get("step"))
                return "cancelled" if step is None else f"cancelled at step {step:g}"
            case events.TRAINING_PAUSED:
                return self._state_line("paused at", data, REASONS.get(str(data.get("reason")), ""))
            case events.TRAINING_RESUMED:
                return self._resumed(data)
            case events.SAMPLE_CREATED:
                return _answer(data)
            case events.ROLLOUTS_CREATED:
                return _rollouts(data)
            case events.EVALUATION_COMPLETED:
                return self._compared(data.get("evaluation"))
            case events.TRAINING_MESSAGE:
                return one_line(data.get("message"), 1000) or "(empty message)"
        rest = {key: value for key, value in data.items() if key not in ("type", "jobId", "timestamp")}
        return f"{one_line(event.name, 80)}: {one_line(json.dumps(rest, ensure_ascii=False))}"

    def _compared(self, evaluation: object) -> str:
        """Return the verdict; if it comes again with answers to general questions, what is new in it."""
        lines = verdict_lines(evaluation) or ["compared with its base"]
        new = [line for line in lines if line not in self._verdict]
        self._verdict = lines
        return "\n".join(new)

    def _resumed(self, data: dict[str, object]) -> str:
        """Drop what was reported about later steps and an end."""
        step = figure(data.get("step"))
        self.step = None if step is None or step < 1 else int(step)
        self.ended = self.phase = self._time_left = None
        self._times.clear()
        if self.checkpoint is not None and self.checkpoint > (self.step or 0):
            self.checkpoint = None
        return self._state_line("resumed at", data)

    def _state_line(self, words: str, data: dict[str, object], otherwise: str = "") -> str:
        message = one_line(data["message"], 1000) if data.get("message") else otherwise
        return f"{words} step {one_line(data.get('step'), 20)}" + (f": {message}" if message else "")

    def pace(self) -> float | None:
        """Return seconds per step over the latest rows, by the backend's clock; None if unknown."""
        paces = [
            (last - first, now - began)
            for (first, began), (last, now) in pairwise(self._times)
            if last > first and now >= began
        ]
        if not paces:
            return None
        limit = OUTLIER * (median(seconds / steps for steps, seconds in paces) or math.inf)
        seconds = sum(min(seconds, limit * steps) for steps, seconds in paces)
        return seconds / sum(steps for steps, _ in paces) if seconds > 0 else None

    def time_left(self) -> float | None:
        """Return seconds to the end of the job, or to the last step if only that is known; else None."""
        if self._time_left is not None:
            seconds, since = self._time_left
            return max(0.0, seconds - (self.now() - since))
        pace = self.pace()
        if pace is None or self.total is None or self.step is None:
            return None
        return max(0, self.total - self.step) * pace

    def _enters(self, phase: str) -> str:
        """Return the line for a phase that no other line mentions: those before and after the steps."""
        previous, self.phase = self.phase, one_line(phase, 40)
        between = self.step is not None and (self.total is None or self.step < self.total)
        if self.phase in (previous, "training") or between:
            return ""
        return "  ".join([self.doing(), *self.time_left_text()])

    def time_left_text(self) -> list[str]:
        """``2:10 left``, if known; nothing once work after the steps takes longer than estimated."""
        seconds_left = self.time_left()
        if seconds_left is None or self.ended is not None:
            return []
        overdue = seconds_left < 0.5 and self.phase not in (None, "training")
        return [] if overdue else [f"{clock(seconds_left)} left"]

    def _started(self, metadata: object) -> str:
        facts = metadata if isinstance(metadata, dict) else {}
        total, measure = figure(facts.get("totalSteps")), facts.get("measure")
        name = str(measure.get("name")) if isinstance(measure, dict) else ""
        self.measure = name if name != "loss" and events.FIGURE_NAME.fullmatch(name) else ""
        if total is not None and total >= 1:
            self.total = int(total)
        sentences = []
        if "model" in facts:
            sentences.append(one_line(facts["model"], 120))
        if "device" in facts:
            sentences.append(
                "on " + one_line(" ".join(str(facts.get(key, "")) for key in ("device", "dtype")), 60)
            )
        for key, words in (("trainRows", "rows to train on"), ("evalRows", "held out")):
            count = figure(facts.get(key))
            if count is not None:
                sentences.append(f"{count:,.0f} {words}")
        if self.total is not None:
            sentences.append(f"{self.total:,} steps")
        return "training" + (": " + ", ".join(sentences) if sentences else "")

    def _row(self, data: dict[str, object]) -> str:
        step = figure(data.get("step"))
        loss, eval_loss = figure(data.get("loss")), figure(data.get("evalLoss"))
        rate = figure(data.get("learningRate"))
        if step is not None and step >= 0:
            self.step = int(step)
            self._clock(data.get("timestamp"))
        row = self._measured(data) or {
            words: value for words, value in (("loss", loss), ("eval", eval_loss)) if value is not None
        }
        self.figures |= row
        parts = [self.position_text(), *(f"{words} {value:.3f}" for words, value in row.items())]
        parts += [f"lr {rate:.1e}"] if rate is not None else []
        parts += self.outlook() if loss is not None or eval_loss is None else []
        parts += _so_far(data.get("verdictSoFar"))
        return "  ".join(parts)

    def _measured(self, data: dict[str, object]) -> dict[str, float]:
        """Return the figures by which the training method is judged; empty if that is the loss."""
        name = self.measure
        fields = {name: name, f"eval{name[:1].upper()}{name[1:]}": f"eval {name}"} if name else {}
        values = ((words, figure(data.get(field))) for field, words in fields.items())
        return {words: value for words, value in values if value is not None}

    def position_text(self) -> str:
        """``step 12/40``, or the known part of it."""
        step = "?" if self.step is None else str(self.step)
        return f"step {step}/{self.total}" if self.total is not None else f"step {step}"

    def doing(self) -> str:
        """Name the phase, or the step during training."""
        phase = self.phase
        if self.ended is not None or phase in (None, "training"):
            return self.position_text()
        return PHASES.get(phase, phase)

    def outlook(self) -> list[str]:
        """Return ``1.2 s/step`` and ``2:10 left``, if known."""
        pace = self.pace()
        parts = [f"{pace:.2g} s/step" if pace < 10 else f"{pace:.0f} s/step"] if pace is not None else []
        return parts + self.time_left_text()

    def _clock(self, timestamp: object) -> None:
        try:
            seconds = datetime.fromisoformat(str(timestamp)).timestamp()
        except (ValueError, OverflowError, OSError):
            return
        if self.step is None or (self._times and self.step <= self._times[-1][0]):
            return  # a second row for the same step says nothing about the pace
        self._times.append((self.step, seconds))

    def _completed(self, metrics: object) -> str:
        facts = metrics if isinstance(metrics, dict) else {}
        losses = (("loss", "loss"), ("evalLoss", "eval loss"), ("bestEvalLoss", "best eval loss"))
        values = self.figures if self.measure else {words: figure(facts.get(key)) for key, words in losses}
        sentences = [f"{words} {value:.3f}" for words, value in values.items() if value is not None]
        steps, seconds = figure(facts.get("steps")), figure(facts.get("seconds"))
        if steps is not None and seconds is not None:
            sentences.append(f"{steps:g} steps in {clock(seconds)}")
        return "completed" + (": " + ", ".join(sentences) if sentences else "")


def _so_far(found: object) -> list[str]:
    """``better, settled at step 20``, from the verdict so far; empty without one."""
    facts = found if isinstance(found, dict) else {}
    state, settled = facts.get("state"), figure(facts.get("settled"))
    if state in ("better", "hopeless") and settled is not None:
        return [f"{state}, settled at step {settled:.0f}"]
    return ["not settled yet"] if state == "open" else []


def _rollouts(data: dict[str, object]) -> str:
    """``step 20: 5 sampled answers, rewards 0 to 1``, and how many of them are failed episodes."""
    sent = data.get("rollouts")
    answers = [answer for answer in sent if isinstance(answer, dict)] if isinstance(sent, list) else []
    played = [answer for answer in answers if not answer.get("failure")]
    rewards = [reward for answer in played if (reward := figure(answer.get("reward"))) is not None]
    between = f", rewards {min(rewards):g} to {max(rewards):g}" if rewards else ""
    failed = f", {len(answers) - len(played)} failed" if len(played) < len(answers) else ""
    return f"step {one_line(data.get('step'), 20)}: {len(answers)} sampled answers{between}{failed}"


def _answer(data: dict[str, object]) -> str:
    """``step 20, prompt 1 "Where is my parcel?": Log 09:14, …``; step 0 is the base model."""
    model_text = "base model" if data.get("step") == 0 else f"step {one_line(data.get('step'), 20)}"
    prompt = one_line(data.get("prompt") or "", PROMPT_LIMIT)
    prompt_text = f' "{prompt}"' if prompt else ""
    answer = one_line(data.get("answer") or "", ANSWER_LIMIT) or "(empty answer)"
    cut = " …" if data.get("truncated") is True and not answer.endswith("…") else ""
    return f"{model_text}, prompt {one_line(data.get('number'), 20)}{prompt_text}: {answer}{cut}"


def time_left(job: Mapping[str, object], now: float) -> str | None:
    """Return ``2:10 left`` from a running job's record at ``now`` (Unix time); None if unknown or overdue."""
    phase = job.get("phase")
    if job.get("status") != "running" or not isinstance(phase, dict):
        return None
    seconds = figure(phase.get("secondsLeft"))
    try:
        since = datetime.fromisoformat(str(phase.get("estimatedAt"))).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    remaining = None if seconds is None else seconds - max(0.0, now - since)
    return f"{clock(remaining)} left" if remaining is not None and remaining >= 0.5 else None


def phase_of(job: Mapping[str, object]) -> str | None:
    """Name the phase of a running job's record; None if unknown."""
    phase = job.get("phase")
    if job.get("status") != "running" or not isinstance(phase, dict):
        return None
    name = one_line(phase.get("name"), 40)
    return PHASES.get(name, name)


def progress_of(data: dict[str, object]) -> tuple[str, float, float | None, str]:
    """Parse a ``model.progress`` event or notice: label, done, total if known, and a description."""
    label = one_line(data.get("label") or "working", 120)
    done, total = figure(data.get("done")) or 0.0, figure(data.get("total"))
    unit = one_line(data.get("unit") or "", 20)
    if total is None or total <= 0:
        return label, done, None, (_amount(done, unit) if done else "")
    return label, done, total, f"{100 * min(1.0, done / total):.0f} % of {_amount(total, unit)}"


def forecast_line(forecast: object) -> str | None:
    """Return ``Forecast: about 1:50, peak 1.7 GB of 20.1 GB free``; None without a forecast."""
    facts = forecast if isinstance(forecast, dict) else {}
    sentences = []
    seconds = figure(facts.get("seconds"))
    if seconds is not None and seconds >= 0:
        sentences.append(f"about {clock(seconds)}")
    notes = facts.get("notes")
    sentences += [one_line(note, 200) for note in (notes if isinstance(notes, list) else [])[:4]]
    memory = facts.get("device") or facts.get("memory")
    memory = memory if isinstance(memory, dict) else {}
    peak, free = figure(memory.get("peakBytes")), figure(memory.get("freeBytes"))
    if peak is not None:
        sentences.append(
            f"peak {_amount(peak, 'B')}" + (f" of {_amount(free, 'B')} free" if free is not None else "")
        )
    if isinstance(streaming := facts.get("streaming"), dict) and peak is not None:
        sentences[-1] += " with streaming"
        if (slower := figure(streaming.get("slower"))) is not None:
            sentences[-1] += f" ({slower:.1f} times as long)"
    if isinstance(gpus := facts.get("gpus"), list):
        sentences.append(f"spread over {len(gpus)} GPUs")
    cut = figure(facts.get("cutRows"))
    if cut:
        sentences.append(f"{cut:,.0f} rows truncated")
    if facts.get("fits") is False:
        fixes = facts.get("fixes")
        fix_list = fixes if isinstance(fixes, list) else []
        words = [one_line(fix.get("words"), 200) for fix in fix_list if isinstance(fix, dict)]
        sentences.append("which does not fit" + (f"; this would: {', or '.join(words[:4])}" if words else ""))
    return "Forecast: " + ", ".join(sentences) if sentences else None


def waiting_line(waiting: Waiting) -> str:
    """``Waiting: 2nd in the queue, behind support-bot (job_1)``."""
    position = "next" if waiting.position == 1 else ordinal(waiting.position)
    line = f"Waiting: {position} in the queue"
    if waiting.behind is not None:
        name, job_id = waiting.behind
        line += f", behind {one_line(name, 120)} ({one_line(job_id, 80)})"
    return f"{line}. The queue is paused: resume it in Studio" if waiting.held else line


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``11th``."""
    last = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 % 10 != 1 else "th"
    return f"{number:,}{last}"


def clock(seconds: float) -> str:
    """``2:10``, or ``1:02:10`` from an hour on."""
    minutes, second = divmod(round(max(0.0, min(seconds, 1e9))), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def verdict_lines(evaluation: object) -> list[str]:
    """Format an evaluation: the headline of its verdict, then a sentence with figures for each set."""
    facts = evaluation if isinstance(evaluation, dict) else {}
    sets = facts.get("sets")
    parts = [
        facts.get("heldOut"),
        facts.get("general"),
        *(sets[:MOST_SETS] if isinstance(sets, list) else ()),
    ]
    split = facts.get("split")
    chosen_by = (facts.get(name) for name in ("choice", "watched", "budget", "warning"))
    sentences = [
        facts.get("sentence"),
        *(found.get("sentence") for found in chosen_by if isinstance(found, dict)),
        *(
            part_found.get("sentence")
            for part in parts
            if isinstance(part, dict)
            for part_found in (part, _answers(part))
        ),
        *_beside(facts.get("heldOut")),
        *(found.get("sentence") for found in (split, facts.get("thinking")) if isinstance(found, dict)),
        facts.get("bestSentence"),
        _extension(figure(facts.get("extendTo"))),
    ]
    return [one_line(text, 1000) for text in sentences if text]


def _extension(steps: float | None) -> str:
    if steps is None:
        return ""
    return (
        "It was still learning: the held-out loss was falling at the last step. To train further: "
        f"arkor-dev jobs extend JOB --steps {steps:.0f}"
    )


def _beside(part: object) -> list[object]:
    """Return what a classifier's part says of other baselines and of its probabilities."""
    found = part.get("classified") if isinstance(part, dict) else None
    sentences = found.get("sentences") if isinstance(found, dict) else None
    return sentences[:MOST_SETS] if isinstance(sentences, list) else []


def _answers(part: dict[str, object]) -> dict[str, object]:
    """Return the part about answers to general questions."""
    answers = part.get("answers")
    return answers if isinstance(answers, dict) else {}


def figure(value: object) -> float | None:
    """Return a finite number; None for anything else, ``1e309`` and true included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _amount(count: float, unit: str) -> str:
    if unit != "B":
        return f"{count:,.0f} {unit}".strip()
    return format_bytes(count)


def size_of(artifacts: object) -> str | None:
    """Format the size of a list of artifacts; None if no size is known."""
    if not isinstance(artifacts, list):
        return None
    sizes = [figure(artifact.get("bytes")) for artifact in artifacts if isinstance(artifact, dict)]
    total = sum(size for size in sizes if size is not None)
    return _amount(total, "B") if total > 0 else None
