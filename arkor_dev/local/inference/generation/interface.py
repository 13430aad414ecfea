"""Interfaces between the loop and its engines; an engine is a library with a loaded model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Hashable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arkor_dev.local.inference.messages import AnswerRequest, Part, Reading
    from arkor_dev.local.modeling.interfaces import Tokenizer

    from .sampling import SampledToken

MAX_CONCURRENT: Final = 8
"""Maximum number of concurrent answers in an inference process: each has its keys and values in memory."""


@dataclass(eq=False)
class GenerationRequest:
    """One request for an answer.

    ``send`` gets `Begun` when its turn comes, `Loading` and `Text`, and finally `Done` or `Failed`.
    """

    ask: AnswerRequest
    stop: threading.Event
    send: Callable[[Part], None]
    base_key: str = ""


class Conversation(Protocol):
    """A prompt, and the answer that continues it."""

    @property
    def group(self) -> Hashable:
        """Conversations of the same group can step together."""

    @property
    def prompt(self) -> list[int]:
        """The prompt's tokens, at least one."""

    @property
    def tokens(self) -> list[int]:
        """The tokens of prompt and answer that have been read."""

    @property
    def cached(self) -> int:
        """How many of the prompt's tokens were cached from an earlier answer."""

    @property
    def scores(self) -> list[SampledToken] | None:
        """The log probability of each of the prompt's tokens, once it has been read; None if the request has
        no `echo` with ``logprobs``. The first token has none.
        """

    @property
    def max_new_tokens(self) -> int:
        """How many tokens the model can generate after the prompt; at least 1."""


C = TypeVar("C", bound=Conversation)


class Engine(Protocol[C]):
    """A library with a loaded model, and its own class ``C`` of conversations.

    All calls are made in the loop's single thread.
    """

    @property
    def tokenizer(self) -> Tokenizer:
        """The loaded model's tokenizer."""

    @property
    def ends(self) -> Sequence[int]:
        """Tokens that end an answer."""

    @property
    def repetition(self) -> float:
        """The model's own repetition penalty, used when a request has none; 1 for none."""

    @property
    def facts(self) -> dict[str, str]:
        """The engine's name and its precision, for the answer's last message."""

    def base_key_of(self, ask: AnswerRequest) -> str:
        """Return a key for the way in which the base must be loaded for this request."""

    def begin(self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None]) -> C:
        """Load what is needed and build the prompt. Raises JobFailure."""

    def classify(
        self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None], stopped: Callable[[], bool]
    ) -> tuple[Reading, int]:
        """Load what is needed; return the labels of the request's texts, and their number of tokens.

        Once ``stopped`` is true, the remaining texts are left out. Raises JobFailure.
        """

    def embed(
        self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None], stopped: Callable[[], bool]
    ) -> tuple[Reading, int]:
        """As `classify`, with the embeddings of the request's texts."""

    def rerank(
        self, ask: AnswerRequest, base_key: str, progress: Callable[[str], None], stopped: Callable[[], bool]
    ) -> tuple[Reading, int]:
        """As `classify`, with the relevance of the request's texts to its query."""

    def read(self, conversation: C) -> NDArray[np.float32] | None:
        """Read a chunk of the prompt; return the first token's logits once all of it is read, else None."""

    def step(self, conversations: list[C], tokens: list[int]) -> NDArray[np.float32]:
        """Add a token to each conversation of one group; return the next logits, one row for each."""

    def end(self, conversation: C) -> None:
        """Release the conversation, regardless of how it ended."""
