"""What the loop is given: questions, and an engine, which is a library with a loaded model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Hashable, Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(eq=False)
class GenerationRequest:
    """One request for an answer.

    ``ask`` has ``base`` and ``name``, ``adapter`` (a folder or None), ``messages`` (or ``prompt``, a text to
    continue), ``temperature``, ``topP``, ``maxTokens``; optionally ``tools``, ``stop`` (texts), ``format``
    (``structured_output.request.Format`` as an object), ``strength`` (of the adapter, 1 is full), the other
    fields of ``Sampling``, and ``training`` when a job runs at the same time. ``send`` gets ``progress``,
    ``text``, and finally ``done`` or ``error``.
    """

    ask: dict[str, Any]
    stop: threading.Event
    send: Callable[..., None]
    place: str = ""


class Conversation(Protocol):
    """A prompt that an engine reads, and the answer that goes on from it."""

    @property
    def group(self) -> Hashable:
        """Those of the same group can step together."""

    @property
    def prompt(self) -> list[int]:
        """Its tokens, at least one."""

    @property
    def cached(self) -> int:
        """How many of the prompt's tokens were known from an earlier answer."""

    @property
    def room(self) -> int:
        """How many tokens the model can still write behind the prompt; at least 1."""


class Engine(Protocol):
    """What computes: a library with a loaded model. Every call comes from the loop's one thread."""

    @property
    def tokenizer(self) -> Any:
        """The loaded model's."""

    @property
    def ends(self) -> Sequence[int]:
        """Tokens that end an answer."""

    @property
    def repetition(self) -> float:
        """The model's own repetition penalty, for those who ask for none; 1 for none."""

    @property
    def facts(self) -> dict[str, str]:
        """Which engine this is and how precisely it computes, for the answer's end."""

    def place_of(self, ask: dict[str, Any]) -> str:
        """The base as it has to be loaded for this question."""

    def begin(self, ask: dict[str, Any], place: str, progress: Callable[[str], None]) -> Conversation:
        """Load what has to be loaded and make the prompt; raises :class:`JobFailure`."""

    def left(self, conversation: Any) -> int:
        """How many tokens of the prompt are still to be read."""

    def read(self, conversation: Any) -> NDArray[np.float32] | None:
        """Read a piece of the prompt; the first token's logits once it is read, else None."""

    def step(self, conversations: list[Any], tokens: list[int]) -> NDArray[np.float32]:
        """Add a token to each conversation of one group; logits of the next ones, a row each."""

    def end(self, conversation: Any) -> None:
        """Let go of it, whatever became of it."""
