"""Cost of comparing an adapter with its base, with as many general questions as the run's length affords."""

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
    """``work`` is in tokens; ``held_out`` and ``question`` are the seconds of all held-out rows and of one
    question.

    ``keys`` are cache keys of the base's losses: of the held-out rows under 0, of their repeated measurement
    under ``AGAIN`` (which takes ``again`` seconds), of general questions under their number. Nothing
    ``known`` is measured again. ``own`` is the time of the job's own sets with both models. ``asked`` is the
    length of the longest answered question in tokens, 0 for none; ``answers`` are cache keys of the base's
    answers by number and length.
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
        """Return the most seconds that a run of ``steps`` spends answering general questions, with both
        models.
        """
        if not self.asked or writing is None:
            return 0.0
        count, longest = answerable(self.work, steps, every)
        models = 1 + (self.answers.get(f"{count}/{longest}") not in self.known)
        return models * (writing.first(count, self.asked) + longest * writing.token(count))

    def seconds(self, steps: int, every: int) -> float:
        """Return the seconds of a run of ``steps`` evaluated every ``every`` steps, without answers."""
        counts = sorted((count for count in self.keys if count > 0), reverse=True)
        count = affordable(self.work, counts, steps, every) if counts else 0
        base = self.held_out * (self.keys[0] not in self.known)
        base += self.again * (self.keys[AGAIN] not in self.known)
        return base + count * self.question * (1 + (self.keys.get(count) not in self.known)) + self.own

    def knowing(self, known: Collection[str]) -> Comparing:
        """Return a copy with the keys that are cached."""
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
        """Parse stored JSON. Raises TypeError, KeyError or ValueError for another version's data."""
        keys = {int(count): str(key) for count, key in told["keys"].items()}
        names = ("held_out", "again", "question", "own")
        held_out, again, question, own = (float(told[name]) for name in names)
        answers = {str(asked): str(key) for asked, key in told["answers"].items()}
        work = Work(*map(float, told["work"]))
        return cls(work, held_out, again, question, keys, own=own, asked=int(told["asked"]), answers=answers)
