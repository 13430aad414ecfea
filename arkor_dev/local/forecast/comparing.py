"""What comparing an adapter with its base takes: as many general questions as the run's length affords."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.evaluation.general import Work, affordable, answerable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .writing import Writing

AGAIN: Final = -1


@dataclass(frozen=True, slots=True)
class Comparing:
    """``work`` in tokens; ``held_out`` and ``question`` are seconds of all held-out rows, and of a question.

    ``keys`` are what the base's losses are kept by: those of the held-out rows under 0, those of measuring it
    again under ``AGAIN`` (which takes ``again`` seconds), those of the general questions under how many of
    them are asked. Of what is ``known`` nothing is measured again. ``own`` are
    the seconds of the job's own sets, with both models. ``asked`` are the tokens of the longest question that
    is answered, 0 for none; ``answers`` what the base's answers are kept by, by how many and how long.
    """

    work: Work
    held_out: float
    again: float
    question: float
    keys: Mapping[int, str]
    known: frozenset[str] = frozenset()
    own: float = 0.0
    asked: int = 0
    answers: Mapping[str, str] = field(default_factory=dict)

    def answering(self, steps: int, every: int, writing: Writing | None) -> float:
        """Seconds in which a run of ``steps`` answers general questions, with both models, at most."""
        if not self.asked or writing is None:
            return 0.0
        count, longest = answerable(self.work, steps, every)
        models = 1 + (self.answers.get(f"{count}/{longest}") not in self.known)
        return models * (writing.first(count, self.asked) + longest * writing.token(count))

    def seconds(self, steps: int, every: int) -> float:
        """For a run of ``steps`` that is evaluated ``every`` so many, but for its answers."""
        counts = sorted((count for count in self.keys if count > 0), reverse=True)
        count = affordable(self.work, counts, steps, every) if counts else 0
        base = self.held_out * (self.keys[0] not in self.known)
        base += self.again * (self.keys[AGAIN] not in self.known)
        return base + count * self.question * (1 + (self.keys.get(count) not in self.known)) + self.own

    def knowing(self, known: Collection[str]) -> Comparing:
        """With the keys of what is kept."""
        keys = {*self.keys.values(), *self.answers.values()}
        return replace(self, known=frozenset(known) & keys)

    def as_json(self) -> dict[str, Any]:
        return {
            "work": list(self.work),
            "held_out": self.held_out,
            "again": self.again,
            "question": self.question,
            "keys": {str(count): key for count, key in self.keys.items()},
            "own": self.own,
            "asked": self.asked,
            "answers": dict(self.answers),
        }

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Comparing:
        """Raises TypeError, KeyError or ValueError for what another version has kept."""
        keys = {int(count): str(key) for count, key in told["keys"].items()}
        names = ("held_out", "again", "question", "own")
        held_out, again, question, own = (float(told[name]) for name in names)
        answers = {str(asked): str(key) for asked, key in told["answers"].items()}
        work = Work(*map(float, told["work"]))
        return cls(work, held_out, again, question, keys, own=own, asked=int(told["asked"]), answers=answers)
