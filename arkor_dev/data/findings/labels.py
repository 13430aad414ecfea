"""Labels of a classifier's rows: how they are distributed, and those that cannot be learned or are one."""

from __future__ import annotations

from array import array
from itertools import groupby
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import counted, quoted
from arkor_dev.data.labels import LABEL, LABELS, LABELS_EXCEEDED, MOST_LABELS, labels_of, words_of

from .finding import SHOWN_ROWS, Check, CheckedRow, FoundRows, Numbered, finding_row, have
from .repeats import MOST_ROWS, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal

    from arkor_dev.contract.dataset_shapes import Finding, FindingRow

SHOWN_LABELS: Final = 8
"""Labels that a sentence names."""


class LabelCheck(Check):
    """The labels of a data set, up to one more than a classifier may have."""

    def __init__(self) -> None:
        self._texts, self._numbers, self._labels = array("Q"), array("I"), array("Q")
        """A hash of each row's text, its number, and a hash of its labels."""
        self._several = False
        self._contradicting = Numbered()
        self._counts: dict[str, int] = {}
        self._first: dict[str, tuple[int, FindingRow]] = {}
        """The first row of each label."""
        self._rows = 0

    def examine(self, checked: CheckedRow) -> None:
        extra = checked.row.extra
        if LABEL not in extra and LABELS not in extra:
            return
        self._rows += 1
        self._several = self._several or LABELS in extra
        labels = labels_of(checked.row)
        for label in labels:
            if label in self._counts:
                self._counts[label] += 1
            elif len(self._counts) <= MOST_LABELS:
                self._counts[label] = 1
                shown = f"{label}: {checked.answer}"
                self._first[label] = checked.number, finding_row(checked.number, checked.row.where, shown)
        if self._rows <= MOST_ROWS:
            self._texts.append(digest(checked.answer))
            self._numbers.append(checked.number)
            self._labels.append(digest(words_of(labels)))

    def requested(self) -> Iterable[int]:
        """See ``Check.requested``."""
        texts, labels = self._texts, self._labels
        order = sorted(range(len(texts)), key=texts.__getitem__)
        for _, same in groupby(order, key=texts.__getitem__):
            group = list(same)
            if len({labels[at] for at in group}) > 1:
                for at in group:
                    self._contradicting.note(self._numbers[at])
        return self._contradicting.first()

    def reexamine(self, checked: CheckedRow) -> None:
        if LABEL in checked.row.extra or LABELS in checked.row.extra:
            self._contradicting.show(checked, f"{words_of(labels_of(checked.row))}: {checked.answer}")

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        counts = self._counts
        if not counts:
            return
        if len(counts) > MOST_LABELS:
            yield self._of_all(
                "many-labels",
                "error",
                f"There are more than {MOST_LABELS:,} labels",
                "So many cannot be told apart, so training would refuse the rows.",
                f"{LABELS_EXCEEDED}.",
            )
            return
        if len(counts) == 1 and not self._several:
            yield self._of_all(
                "one-label",
                "error",
                f"All {counted(self._rows, 'row')} have the label {quoted(next(iter(counts)))}",
                "There is nothing to tell apart, so training would refuse the rows.",
                "Add rows with another label. If the labels are in another column, map it (columns).",
            )
            return
        if self._contradicting.count:
            yield self._contradicting.finding(
                "contradicting-labels",
                "warning",
                f"{have(self._contradicting.count)} the text of another row, and another label",
                "The classifier cannot learn both, and one of them is held against it in the verdict.",
                "Keep the row with the right label, and remove the others.",
            )
        yield from self._rare()
        yield from self._alike()
        yield self._distribution()

    def _rare(self) -> Iterator[Finding]:
        if rare := [label for label, count in self._counts.items() if count == 1]:
            finding = self._shown(rare).finding(
                "rare-label",
                "warning",
                "",
                "It is either learned or measured: if the row is held out, the label is never learned.",
                "Add rows with the label, or merge it with another one.",
            )
            finding["title"] = f"{counted(len(rare), 'label')} {have(len(rare))} a single row"
            yield finding

    def _alike(self) -> Iterator[Finding]:
        spellings: dict[str, list[str]] = {}
        for label in self._counts:
            spellings.setdefault("".join(label.casefold().split()), []).append(label)
        if alike := [labels for labels in spellings.values() if len(labels) > 1]:
            finding = self._shown([label for labels in alike for label in labels]).finding(
                "alike-labels",
                "warning",
                "",
                "The classifier learns to tell them apart, although they probably mean the same.",
                "Write them in one way: replace all but one spelling.",
            )
            named = " and ".join(map(quoted, alike[0][:SHOWN_LABELS]))
            more = f", and {len(alike) - 1:,} more" if len(alike) > 1 else ""
            finding["title"] = f"{named} differ only in case or spaces{more}"
            yield finding

    def _distribution(self) -> Finding:
        ordered = sorted(
            self._counts.items(), key=lambda counted_label: (-counted_label[1], counted_label[0])
        )
        shares = ", ".join(
            f"{quoted(label)} {count / self._rows:.0%}" for label, count in ordered[:SHOWN_LABELS]
        )
        more = f" and {len(ordered) - SHOWN_LABELS:,} more" if len(ordered) > SHOWN_LABELS else ""
        label, most = ordered[0]
        if self._several:
            return self._of_all(
                "label-distribution",
                "note",
                f"{counted(len(ordered), 'label')}: {shares}{more}",
                "Rows may have several labels, or none.",
                'If rare labels matter as much as frequent ones, set class_weight = "balanced".',
            )
        return self._of_all(
            "label-distribution",
            "note",
            f"{counted(len(ordered), 'label')}: {shares}{more}",
            f"Always answering {quoted(label)} would be right for {most / self._rows:.0%} of the rows; the "
            "verdict compares the classifier with that.",
            'If rare labels matter as much as frequent ones, set class_weight = "balanced".',
        )

    def _shown(self, labels: list[str]) -> FoundRows:
        """Return the first row of each of ``labels``."""
        first = [self._first[label] for label in labels]
        return FoundRows(
            len(labels), [row for _, row in first[:SHOWN_ROWS]], array("I", (number for number, _ in first))
        )

    def _of_all(
        self, code: str, level: Literal["error", "warning", "note"], title: str, why: str, fix: str
    ) -> Finding:
        """Return a finding of the data set as a whole, without rows."""
        return {
            "code": code,
            "level": level,
            "title": title,
            "why": why,
            "fix": fix,
            "count": self._rows,
            "rows": [],
        }
