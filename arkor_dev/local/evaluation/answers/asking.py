"""Lets base and adapter answer general questions, in addition to measuring losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from .figures import Answered, length_words, rates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.contract.run_shapes import EvaluationAnswers
    from arkor_dev.local.evaluation.base_losses import BaseLosses

TEXT: Final = 1000
"""Longest stored answer, in characters."""


class Stopped(Exception):  # noqa: N818 - somebody asked for it
    """The job was cancelled in the meantime."""


class Model(Protocol):
    """Measures rows: returns each one's summed loss and weight.

    ``each`` uses the training method's own loss; ``cross_entropy`` always measures the learned tokens.
    """

    def each(self, rows: Sequence[Any], /) -> list[tuple[float, int]]: ...

    def cross_entropy(self, rows: Sequence[Any], /) -> list[tuple[float, int]]: ...


class Answers:
    """Answers to ``questions``, tokenized as ``prompts``, of at most ``longest`` tokens.

    ``write(model, prompts, longest, stopped)`` answers all, or returns None if stopped. ``kept`` caches the
    base's answers by ``key``; ``longest_prompt`` is in tokens.
    """

    def __init__(
        self,
        questions: Sequence[str],
        prompts: Sequence[Sequence[int]],
        longest: int,
        write: Callable[[Any, Sequence[Sequence[int]], int, Callable[[], bool]], list[Answered] | None],
        kept: BaseLosses | None = None,
    ) -> None:
        self._questions, self._prompts, self._longest = questions, prompts, longest
        self._write, self._kept = write, kept
        self.key = kept.answers_key(prompts, longest) if kept and prompts else ""
        self.longest_prompt = max(map(len, prompts), default=0)
        self._base = _known(kept.entry(self.key), len(prompts)) if kept and self.key else None
        self._adapter: list[Answered] = []
        self.needs_base = bool(prompts) and self._base is None
        self.total = len(prompts) * (1 + self.needs_base)
        """Answers that are made."""
        models = (True, False) if self.needs_base else (True,)
        self.batches = [(len(prompts), longest, adapted) for adapted in models if prompts]
        """How many answers are written together, in how many tokens at most, and whether by the adapter."""

    def of_adapter(self, model: Model, stopped: Callable[[], bool]) -> int:
        """Generate the adapter's answers; return their number. Raises :class:`Stopped`."""
        self._adapter = self._all(model, stopped)
        return len(self._adapter)

    def of_base(self, model: Model, stopped: Callable[[], bool]) -> int:
        """Generate and cache the base's answers unless known; return their number. Raises
        :class:`Stopped`.
        """
        if not self.needs_base:
            return 0
        self._base = self._all(model, stopped)
        if self._kept:
            self._kept.put(self.key, [list(each) for each in self._base])
        return len(self._base)

    @property
    def length(self) -> str | None:
        """Describe how much longer or shorter the adapter answers; None if the difference is small or
        unknown.
        """
        return length_words(self._base, self._adapter) if self._base and self._adapter else None

    def figures(self) -> EvaluationAnswers | None:
        """Return the contract's ``answers`` on general questions; None if none were generated."""
        if not self._base or not self._adapter:
            return None
        return rates(self._base, self._adapter, self._longest)

    def beside(self) -> list[dict[str, str]]:
        """Return the answers of both, for the contract."""
        both = zip(self._questions, self._base or (), self._adapter, strict=False)
        return [
            {"question": question, "base": base.text, "adapter": adapter.text}
            for question, base, adapter in both
        ]

    def _all(self, model: Model, stopped: Callable[[], bool]) -> list[Answered]:
        if not self._prompts:
            return []
        found = self._write(model, self._prompts, self._longest, stopped)
        if found is None:
            raise Stopped
        return [each._replace(text=each.text[:TEXT]) for each in found]


NOBODY: Final = Answers((), (), 0, lambda *_: [])
"""No questions."""


def _known(told: Any, count: int) -> list[Answered] | None:
    """Parse cached answers; None if they are missing or were edited."""
    if not isinstance(told, list) or len(told) != count:
        return None
    kinds = (str, int, bool, bool)
    for each in told:
        sound = isinstance(each, list) and len(each) == len(kinds)
        if not sound or any(type(value) is not kind for value, kind in zip(each, kinds, strict=True)):
            return None
    return [Answered(*each) for each in told]
