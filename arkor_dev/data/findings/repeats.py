"""Repeated rows, questions with several answers, a dominating answer, leaks into the evaluation set.

Each row leaves two hashes of 64 bits and its number in arrays of plain numbers; equal ones are found by
sorting, a part at a time.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from arkor_dev.data.prompts import PROMPT

from .finding import Check, CheckedRow, FoundRows, Numbered, be, have

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arkor_dev.contract.dataset_shapes import Finding

PARTS: Final = 32
MOST_ROWS: Final = 8_000_000
"""Maximum number of rows that are compared, at 20 bytes each."""
COUNTERS: Final = 64
"""Answers counted at a time (Misra-Gries): one in a fiftieth of the rows cannot be missed."""
DOMINATES: Final = 0.2
FROM_ROWS: Final = 20
EVAL_ROWS: Final = 500_000


def digest(text: str) -> int:
    """Return a 64-bit hash of ``text``, ignoring case and the amount of white space."""
    plain = " ".join(text.split()).lower().encode(errors="replace")
    return int.from_bytes(blake2b(plain, digest_size=8).digest(), "little")


NOTHING: Final = digest("")


class Repeats(Check):
    """Equal rows, questions and answers."""

    def __init__(self) -> None:
        self._questions = [array("Q") for _ in range(PARTS)]
        self._answers = [array("Q") for _ in range(PARTS)]
        self._numbers = [array("I") for _ in range(PARTS)]
        self.rows = 0
        self._frequent: dict[int, int] = {}
        self._repeated, self._differing, self._same_answer = Numbered(), Numbered(), Numbered()

    def examine(self, checked: CheckedRow) -> None:
        self.rows += 1
        if self.rows > MOST_ROWS:
            return
        question, answer = digest(checked.question), digest(checked.answer)
        if beyond := checked.row.extra:  # a preference: a prompt may have several, with other answers
            question, answer = NOTHING, digest(f"{checked.question}\n{checked.answer}\n{beyond}")
        part = (answer if question == NOTHING else question) % PARTS
        self._questions[part].append(question)
        self._answers[part].append(answer)
        self._numbers[part].append(checked.number)
        if checked.row.form != PROMPT:  # whose answers are not learned
            self._count(answer)

    def _count(self, answer: int) -> None:
        """The counters of Misra and Gries: every frequent answer is among them at the end."""
        frequent = self._frequent
        if answer in frequent:
            frequent[answer] += 1
        elif len(frequent) < COUNTERS:
            frequent[answer] = 1
        else:
            self._frequent = {value: count - 1 for value, count in frequent.items() if count > 1}

    def requested(self) -> Iterable[int]:
        """See ``Check.wanted``."""
        for part in range(PARTS):
            questions, answers, numbers = self._questions[part], self._answers[part], self._numbers[part]
            order = sorted(range(len(questions)), key=lambda at: (questions[at], answers[at], numbers[at]))
            start = 0
            for at in range(1, len(order) + 1):
                if at == len(order) or questions[order[at]] != questions[order[start]]:
                    if at - start > 1:
                        self._compare(order[start:at], part)
                    start = at
        self._find_dominating()
        for numbered in (self._repeated, self._differing, self._same_answer):
            yield from numbered.first()

    def _compare(self, group: list[int], part: int) -> None:
        """Note repetitions and different answers in a ``group`` with one question, sorted by answer."""
        answers, numbers = self._answers[part], self._numbers[part]
        differing = 1
        for before, at in pairwise(group):
            if answers[at] == answers[before]:
                self._repeated.note(numbers[at])
            else:
                differing += 1
        if differing > 1 and self._questions[part][group[0]] != NOTHING:
            for at in group:
                self._differing.note(numbers[at])

    def _find_dominating(self) -> None:
        rows = min(self.rows, MOST_ROWS)
        if rows < FROM_ROWS or not self._frequent:
            return
        answer = max(self._frequent, key=self._frequent.__getitem__)
        if sum(answers.count(answer) for answers in self._answers) >= DOMINATES * rows:
            for answers, numbers in zip(self._answers, self._numbers, strict=True):
                for value, number in zip(answers, numbers, strict=True):
                    if value == answer:
                        self._same_answer.note(number)

    def reexamine(self, checked: CheckedRow) -> None:
        for numbered in (self._repeated, self._differing, self._same_answer):
            numbered.show(checked)

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        repeated, differing, same_answer = self._repeated, self._differing, self._same_answer
        if repeated.count:
            yield repeated.finding(
                "duplicate",
                "warning",
                f"{'repeats' if repeated.count == 1 else 'repeat'} an earlier one",
                "The model learns repeated rows more strongly, and eventually memorizes them.",
                "Keep one of each.",
            )
        if differing.count:
            yield differing.finding(
                "differing-answers",
                "warning",
                f"{'asks' if differing.count == 1 else 'ask'} what another row answers differently",
                "The model cannot give both answers: it learns a mixture of them.",
                "Keep the better answer, or add what makes the difference to the question.",
            )
        if same_answer.count:
            share = same_answer.count / min(self.rows, MOST_ROWS)
            yield same_answer.finding(
                "same-answer",
                "warning" if share >= 0.5 else "note",
                f"{have(same_answer.count)} the same answer: {share:.0%} of all",
                "The model learns to give it to any question.",
                "Remove some of these rows if this answer is less frequent in practice.",
            )


class Leaks(Check):
    """Rows that are also in the evaluation set."""

    def __init__(self) -> None:
        self._held_out: set[int] = set()
        self._leaks = FoundRows()

    def learn(self, held_out: CheckedRow) -> None:
        """Add a row of the evaluation set; they come before those of the training set."""
        if len(self._held_out) < EVAL_ROWS:
            self._held_out.add(question_of(held_out))

    def examine(self, checked: CheckedRow) -> None:
        """See ``Check.examine``."""
        if self._held_out and question_of(checked) in self._held_out:
            self._leaks.add(checked)

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if self._leaks.count:
            yield self._leaks.finding(
                "in-eval",
                "warning",
                f"{be(self._leaks.count)} in the evaluation set as well",
                "A loss on training rows says nothing, so training leaves these rows out of its "
                "evaluation, which then has fewer rows.",
                "Remove them from one of the two files.",
            )


def question_of(checked: CheckedRow) -> int:
    """Return a key of the row's question; of the text itself if there is no question."""
    return digest(checked.question) if checked.question.strip() else digest(checked.answer)
