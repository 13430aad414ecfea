"""Renders what tools say as the tokens that follow an answer, exactly as the chat template continues it.

The model's own tokens are never tokenised again: its answer stays as it was sampled, and only the text that
the template writes behind an answer's end is added. It is found in a conversation of two short messages,
whose rendering must not change when the results follow, as in TRL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from transformers import PreTrainedTokenizerBase

THOUGHTS: Final = "<think>\nx\n</think>\n\n"
REWRITES: Final = (
    "The model's chat template rewrites an answer once a tool's result follows it, so an episode cannot go "
    "on from the tokens that the model has written: choose another model"
)


class ToolContinuation:
    """The continuation of answers by tools' results; each of ``ends`` ends an answer.

    Raises JobFailure for a template that rewrites earlier answers, or that cannot write results.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._marks = tuple(tokenizer.decode([end]) for end in ends)
        cue = render(tokenizer, [{"role": "user", "content": "x"}], add_generation_prompt=True)
        # Qwen3 writes empty thoughts into its last answer only, but keeps those that an answer has.
        contents = [""] if cue.rstrip().endswith("</think>") else ["", THOUGHTS]
        for content in contents:
            self._content = content
            if self._rendered([("x", "x")]) is not None:
                return
        raise JobFailure(REWRITES)

    def tokens(self, results: Sequence[tuple[str, str]]) -> list[int]:
        """Return the tokens of ``results``, names and texts of tools, up to the next answer's beginning."""
        text = self._rendered(results)
        if text is None:
            raise JobFailure(REWRITES)
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _rendered(self, results: Sequence[tuple[str, str]]) -> str | None:
        """Return the text behind the end of an answer; None if the template rewrites the answer."""
        try:
            return self._behind(results, {})
        except JobFailure:
            pass
        try:
            return self._behind(results, "{}")  # DeepSeek's templates want arguments as text
        except JobFailure:
            return self._behind(results, {}, most=1)  # Llama's refuse several calls in one answer

    def _behind(
        self, results: Sequence[tuple[str, str]], arguments: object, most: int | None = None
    ) -> str | None:
        calls, said = [], []
        for number, (name, text) in enumerate(results):
            key = f"call{number:05d}"  # Mistral's templates want nine letters and digits
            function = {"name": name, "arguments": arguments}
            calls.append({"id": key, "type": "function", "function": function})
            said.append({"role": "tool", "tool_call_id": key, "name": name, "content": text})
        before = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": self._content, "tool_calls": calls[:most]},
        ]
        answered = render(self._tokenizer, before, add_generation_prompt=False).rstrip()
        whole = render(self._tokenizer, [*before, *said], add_generation_prompt=True)
        if not whole.startswith(answered):
            return None
        rest = whole[len(answered) :]
        if answered.endswith(self._marks):
            return rest
        # GLM's answers end with the mark of what follows.
        mark = next((mark for mark in self._marks if rest.startswith(mark)), None)
        return None if mark is None else rest.removeprefix(mark)
