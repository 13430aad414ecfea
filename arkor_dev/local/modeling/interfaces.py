"""What is used of transformers' tokenizers and models by modules that must not import transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Tokenizer(Protocol):
    """A ``PreTrainedTokenizerBase``."""

    pad_token: str | None
    eos_token: str | None
    eos_token_id: int | None
    chat_template: str | dict[str, str] | None

    @property
    def all_special_ids(self) -> list[int]: ...

    def __call__(self, text: str, *, add_special_tokens: bool) -> Mapping[str, list[int]]:
        """Return the token ids of ``text`` as ``input_ids``."""

    def decode(
        self,
        token_ids: Sequence[int],
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """Return the text of token ids."""

    def apply_chat_template(
        self,
        conversation: Sequence[object],
        *,
        tokenize: bool,
        add_generation_prompt: bool,
        tools: Sequence[object] | None,
    ) -> str:
        """Return the text of a conversation."""


class ModuleTree(Protocol):
    """A ``torch.nn.Module``."""

    def modules(self) -> Iterable[object]:
        """Yield the module and all modules inside it."""


class GenerationConfig(Protocol):
    """The settings of a model for generation."""

    eos_token_id: int | list[int] | None


class GeneratingModel(Protocol):
    """A ``PreTrainedModel`` that generates text."""

    generation_config: GenerationConfig
