"""Renders conversations with the model's chat template, and finds the assistant's answers in the text.

Chat templates do not mark the assistant's words, so they are found by rendering growing prefixes of the
conversation: what the next assistant message adds after the generation prompt (the cue) is the answer. A
template that rewrites earlier turns (drops their reasoning, moves an end mark) renders an earlier answer as
the model generated it only while it is the last message; that answer is learned from its own rendering.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from arkor_dev.data.thoughts import opened_by, thoughts_of
from arkor_dev.local.workers.errors import JobFailure

from .hermes_tools import HERMES_TOOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .interfaces import GeneratingModel, Tokenizer

T = TypeVar("T", bound="Tokenizer")


PLAIN_TEMPLATE: Final = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
"""For base models without a chat template of their own."""
IN_PARTS: Final = (
    "{%- set parted = namespace(messages=[]) %}{%- for m in messages %}{%- if m.content is string %}"
    "{%- set m = dict(m, content=[{'type': 'text', 'text': m.content}]) %}{%- endif %}"
    "{%- set parted.messages = parted.messages + [m] %}{%- endfor %}{%- set messages = parted.messages %}"
)
"""Put before a template that drops plain strings: those of LLaVA and Idefics only know lists of parts."""
Message = Mapping[str, object]
"""A message: its ``role``, and its ``content`` or ``tool_calls``, as the template reads them."""
ARGUMENTS: Final = {"enable_thinking": "enableThinking"}
"""Template arguments that a trainer may set, with the settings' fields."""
REFUSAL: Final = "The model's chat template rejects the conversation"
PROBE: Final = "\ue000"
"""An answer that shares no beginning with any cue: it starts with a character that nobody uses."""
MOST_TEXT: Final = 32 * 2**20
"""Maximum number of characters in all partial renderings of a conversation. Rendering a conversation of a
thousand answers anew for each would exhaust memory.
"""


def ready_tokenizer(tokenizer: T) -> T:
    """Ensure that ``tokenizer`` has a pad token and a chat template, which training and chat rely on."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE
    if isinstance(plain := tokenizer.chat_template, str) and _drops_strings(tokenizer):
        tokenizer.chat_template = IN_PARTS + plain
    if isinstance(plain := tokenizer.chat_template, str) and _lacks_tools(tokenizer):
        tokenizer.chat_template = HERMES_TOOLS + plain
        if not _writes_tools(tokenizer):  # such as one that rejects system messages
            tokenizer.chat_template = plain
    return tokenizer


def _lacks_tools(tokenizer: Tokenizer) -> bool:
    """Return whether the chat template writes neither tools nor calls, and does not reject them either."""
    try:
        text = _with_a_call(tokenizer)
    except JobFailure:
        return False
    return isinstance(tokenizer.chat_template, str) and PROBE not in text


def _writes_tools(tokenizer: Tokenizer) -> bool:
    """Return whether the chat template writes a tool and a call of it."""
    try:
        return _with_a_call(tokenizer).count(PROBE) > 1
    except JobFailure:
        return False


def _with_a_call(tokenizer: Tokenizer) -> str:
    """Return the rendering of a tool and a call of it; both have the name `PROBE`. Raises JobFailure."""
    call = {"type": "function", "id": "call00001", "function": {"name": PROBE, "arguments": {}}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    function = {"name": PROBE, "description": "", "parameters": {"type": "object", "properties": {}}}
    return render(tokenizer, messages, False, [{"type": "function", "function": function}])


def _drops_strings(tokenizer: Tokenizer) -> bool:
    """Return whether the chat template only renders messages whose content is a list of parts."""
    template = tokenizer.chat_template
    if not isinstance(template, str) or "is string" in template or "type" not in template:
        return False
    parts = [{"type": "text", "text": PROBE}]
    try:
        texts = [
            render(tokenizer, [{"role": "user", "content": content}], True) for content in (PROBE, parts)
        ]
    except JobFailure:
        return False
    return [PROBE in text for text in texts] == [False, True]


def template_arguments(config: Mapping[str, object]) -> dict[str, bool]:
    """Return the arguments that a job's config, or a chat call, sets for the chat template, by their names in
    the template.
    """
    arguments = {name: config.get(field) for name, field in ARGUMENTS.items()}
    return {name: value for name, value in arguments.items() if isinstance(value, bool)}


def with_arguments(tokenizer: T, arguments: Mapping[str, bool]) -> T:
    """Return a copy of ``tokenizer`` whose template has these defaults for its arguments.

    They become part of the template, so that files saved with it, and programs that read them, use them, too.
    """
    defaults = "".join(
        f"{{%- if {name} is not defined %}}{{%- set {name} = {str(value).lower()} %}}{{%- endif %}}"
        for name, value in arguments.items()
    )
    if not defaults:
        return tokenizer
    set_up, template = copy.copy(tokenizer), tokenizer.chat_template
    if isinstance(template, dict):
        set_up.chat_template = {name: defaults + text for name, text in template.items()}
    elif template:
        set_up.chat_template = defaults + template
    return set_up


def render(
    tokenizer: Tokenizer,
    messages: Sequence[object],
    add_generation_prompt: bool,
    tools: Sequence[object] | None = None,
) -> str:
    """Return the conversation in the model's template; ``add_generation_prompt`` adds the generation prompt.

    Raises JobFailure if the template rejects it or exceeds its limits.
    """

    from .template_limits import (
        within_limits,
    )  # jinja is installed with transformers, and only workers need it

    def apply() -> str:
        text: str = tokenizer.apply_chat_template(
            list(messages),
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            tools=list(tools) if tools else None,
        )
        return text

    try:
        return within_limits(apply)
    except JobFailure:
        raise
    except Exception as error:  # noqa: BLE001 - templates are third-party programs and may raise anything
        raise JobFailure(f"{REFUSAL}: {error}") from None


@dataclass(frozen=True, slots=True)
class Rendering:
    """A conversation up to one of its answers as ``text``, and the character ranges of the answers to learn.

    A range includes the end mark; the ranges are in order.
    """

    text: str
    spans: list[tuple[int, int]]


def renderings(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    tools: Sequence[object] = (),
    last_only: bool = False,
) -> tuple[list[Rendering], list[int]]:
    """Return texts that together teach every answer of a conversation, and the indices of answers that none
    of them teaches.

    Each answer follows exactly the text that precedes it at inference. The last text is the rendering of the
    whole conversation; it teaches each answer up to whose end it equals the rendering of that prefix. An
    answer that it renders differently has its own rendering, earlier in the list. ``last_only`` skips all
    answers but the last one. Raises JobFailure if the template rejects the whole conversation.
    """
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    last = answers[-1]
    complete = Rendering(_with_answer(tokenizer, messages[: last + 1], tools), [])
    separate: list[Rendering] = []  # longest first
    missed: list[int] = []
    for index in reversed(answers[-1:] if last_only else answers):
        try:
            after = complete.text
            if index != last:
                after = _with_answer(tokenizer, messages[: index + 1], tools)
            start = _start(tokenizer, messages[: index + 1], tools, after)
        except JobFailure:
            if index == last:
                raise
            missed.append(index)
            continue
        ends = _ends(tokenizer, messages[index], after)
        if start >= ends[0] or _is_empty(tokenizer, messages[: index + 1], tools, after):
            missed.append(index)
            continue
        hosts = (
            (candidate, end)
            for candidate in (complete, *separate)
            for end in ends
            if candidate.text.startswith(after[:end])
        )
        host, end = next(hosts, (None, ends[0]))
        if host is None:
            if sum(len(candidate.text) for candidate in separate) + len(after) > MOST_TEXT:
                missed.append(index)
                continue
            separate.append(host := Rendering(after, []))
        host.spans.insert(0, (start, end))
    return [*separate[::-1], complete], missed[::-1]


def _with_answer(tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[object]) -> str:
    """Return the rendering of ``messages``, whose last one is an answer, with its thoughts.

    DeepSeek's templates drop the thoughts of every answer, although their cue begins them. They are written
    after it, as the model generates them.
    """
    text = render(tokenizer, messages, add_generation_prompt=False, tools=tools)
    *before, message = messages
    split = thoughts_of(message)
    if not split.thoughts or not before or message.get("tool_calls"):
        return text
    if split.thoughts in text or squeezed(split.thoughts) in squeezed(text):
        return text
    cue = render(tokenizer, before, add_generation_prompt=True, tools=tools)
    if not (marks := opened_by(cue)):
        return text
    bare = render(tokenizer, [*before, {"role": "assistant", "content": PROBE}], False, tools)
    return f"{cue}{split.thoughts}\n{marks.end}\n\n{split.answer}{bare.partition(PROBE)[2]}"


def squeezed(text: str) -> str:
    """Return ``text`` without white space, which templates change."""
    return "".join(text.split())


def _start(tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[object], after: str) -> int:
    """Return the position after the cue where the last of ``messages`` begins in its rendering ``after``."""
    if len(messages) == 1:
        return 0
    before = render(tokenizer, messages[:-1], add_generation_prompt=True, tools=tools)
    if after.startswith(before):
        return len(before)
    # The cue may open something that this answer lacks, such as "<think>". An answer starting with "<" would
    # appear to share that with the cue, so compare with the rendering of a different answer.
    start = common_prefix(before, after)
    with suppress(JobFailure):
        probe = render(tokenizer, [*messages[:-1], {"role": "assistant", "content": PROBE}], False, tools)
        start = min(start, common_prefix(before, probe))
    return start


def common_prefix(first: Sequence[object], second: Sequence[object]) -> int:
    """Return the length of the common prefix of two texts, or of two lists of tokens."""
    return next(
        (index for index, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )


def _ends(tokenizer: Tokenizer, message: Message, after: str) -> list[int]:
    """Return the positions at which the answer ``message`` may end in ``after``, furthest first.

    Phi-3 closes a text with its own end token, which disappears once the conversation continues.
    """
    stem, mark, content = after.rstrip(), tokenizer.eos_token, str(message.get("content") or "").strip()
    ends = [len(stem)]
    if mark and content and stem.endswith(mark):
        shorter = stem.removesuffix(mark).rstrip()
        if not shorter.endswith(content):  # otherwise no end token would be left
            ends.append(len(shorter))
    return ends


def _is_empty(tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[object], after: str) -> bool:
    """Return whether the last message has only tool calls, and the template omits them."""
    *before, message = messages
    if not message.get("tool_calls") or str(message.get("content") or "").strip():
        return False
    bare = {key: value for key, value in message.items() if key != "tool_calls"}
    try:
        return render(tokenizer, [*before, bare], add_generation_prompt=False, tools=tools) == after
    except JobFailure:
        return False


def end_ids(tokenizer: Tokenizer, model: GeneratingModel) -> list[int]:
    """Return the token ids that end an answer: the model's, and the template's mark after assistant turns."""
    ids = {tokenizer.eos_token_id}
    configured = model.generation_config.eos_token_id
    ids.update(configured if isinstance(configured, list) else [configured])
    probe = "x"
    conversation = [{"role": "user", "content": probe}, {"role": "assistant", "content": probe}]
    for rendering in renderings(tokenizer, conversation)[0]:
        for start, end in rendering.spans:
            tail = tokenizer(rendering.text[start:end], add_special_tokens=False)["input_ids"]
            ids.update(token for token in tail[-1:] if token in tokenizer.all_special_ids)
    return sorted(token for token in ids if token is not None)
