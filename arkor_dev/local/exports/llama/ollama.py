"""Writes a Modelfile for Ollama, whose template language differs from Jinja.

The chat template renders conversations of marker words; the text between the markers shows how each role's
message begins and ends. The result is then evaluated by another implementation and compared.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import RowMessage

SYSTEM: Final = "system"
USER: Final = "user"
ASSISTANT: Final = "assistant"
MARKERS: Final = {SYSTEM: "QzSYSTEMzQ", USER: "QzUSERzQ", ASSISTANT: "QzANSWERzQ"}
UNSUPPORTED: Final = (
    "This model's chat template cannot be expressed in Ollama's language: choose the format gguf"
)
PARAMETER: Final = "PARAMETER"
ESCAPE: Final = re.compile(r"\\(?:U([0-9a-f]{8})|.)")
"""Go's escapes for arbitrary characters, which JSON lacks; or any other escape sequence."""
ACTION: Final = re.compile(r'\{\{ (\.Content|"(?:[^"\\]|\\.)*") \}\}')
MOST_CONTEXT: Final = 8192


@dataclass(frozen=True, slots=True)
class TemplateParts:
    """The parts of a conversation: ``begin`` once, each role's ``(before, after)``, and the
    ``generation_prompt`` for an answer.

    ``default`` is the system prompt of a conversation without one.
    """

    begin: str
    roles: Mapping[str, tuple[str, str]]
    generation_prompt: str
    default: str = ""
    stops: Sequence[str] = field(default=())


def parts_of(tokenizer: PreTrainedTokenizerBase, ends: Sequence[int]) -> TemplateParts:
    """Split the template into its parts. Raises :class:`JobFailure` if it has another structure."""

    def written(*roles: str, prompt: bool) -> list[str]:
        """Return the text before, between and after the markers of these roles."""
        text = render(
            tokenizer,
            [{"role": role, "content": MARKERS[role]} for role in roles],
            add_generation_prompt=prompt,
        )
        pieces = re.split("|".join(MARKERS.values()), text)
        if len(pieces) != len(roles) + 1:
            raise JobFailure(UNSUPPORTED)
        return pieces

    first, after_user = written(USER, prompt=False)
    _, between, after_answer = written(USER, ASSISTANT, prompt=False)
    *_, before_next_user, last = written(USER, ASSISTANT, USER, prompt=True)
    if not (
        between.startswith(after_user)
        and last.startswith(after_user)
        and before_next_user.startswith(after_answer)
    ):
        raise JobFailure(UNSUPPORTED)
    before_user = before_next_user[len(after_answer) :]
    roles = {
        USER: (before_user, after_user),
        ASSISTANT: (between[len(after_user) :], after_answer),
    }
    prompt_beginning, begin, default = last[len(after_user) :], first.removesuffix(before_user), ""
    if not first.endswith(before_user):
        raise JobFailure(UNSUPPORTED)
    try:
        before_system, between_system_and_user, _ = written(SYSTEM, USER, prompt=False)
    except JobFailure:
        before_system, between_system_and_user = "", ""
    if between_system_and_user.endswith(before_user) and (between_system_and_user or before_system):
        after_system = between_system_and_user.removesuffix(before_user)
        opened = ""
        if begin and before_system.startswith(begin):
            opened = begin
        elif begin.startswith(before_system) and begin.endswith(after_system):
            default = begin[len(before_system) : len(begin) - len(after_system)]
        elif begin:
            raise JobFailure(UNSUPPORTED)
        roles[SYSTEM] = (before_system.removeprefix(opened), after_system)
        begin = opened
    stops = [text for text in tokenizer.convert_ids_to_tokens(list(ends)) if text]
    return TemplateParts(begin, roles, prompt_beginning, default, stops)


def template_of(parts: TemplateParts, *, adds_start: str = "") -> str:
    """Format the parts as an Ollama template; Ollama adds the start token ``adds_start`` itself."""
    begin = parts.begin.removeprefix(adds_start)
    text = _literal(begin) + "{{ range .Messages }}"
    for number, (role, (before, after)) in enumerate(parts.roles.items()):
        text += f"{{{{ {'else if' if number else 'if'} eq .Role {json.dumps(role)} }}}}"
        text += f"{_literal(before)}{{{{ .Content }}}}{_literal(after)}"
    return f"{text}{{{{ end }}}}{{{{ end }}}}{_literal(parts.generation_prompt)}"


def _literal(text: str) -> str:
    """Format a text as a template action that prints it literally.

    Non-printable characters (such as a no-break space) use Go's escapes, since Ollama drops them otherwise.
    """
    literal = json.dumps(text, ensure_ascii=False)
    literal = "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in literal)
    return f"{{{{ {literal} }}}}" if text else ""


def modelfile(parts: TemplateParts, *, adds_start: str, context: int) -> str:
    """Return the Modelfile for ``model.gguf``. Raises :class:`JobFailure` if it cannot be expressed."""
    lines = ["FROM ./model.gguf", _instruction("TEMPLATE", template_of(parts, adds_start=adds_start))]
    if parts.default:
        lines.append(_instruction("SYSTEM", parts.default))
    lines += [_instruction("PARAMETER stop", stop) for stop in parts.stops]
    lines.append(f"PARAMETER num_ctx {min(context, MOST_CONTEXT)}")
    return "\n".join(lines) + "\n"


def _instruction(name: str, value: str) -> str:
    """Format an instruction so that Ollama reads the same value: it undoes no escapes, so some texts are
    impossible.
    """
    mark = '"""' if '"' in value or "\n" in value else '"'
    line = f"{name} {mark}{value}{mark}"
    try:
        read = instructions(line)
    except ValueError as error:
        raise JobFailure(UNSUPPORTED) from error
    if '"""' in value or read != [(name.removeprefix(f"{PARAMETER} "), value)]:
        raise JobFailure(UNSUPPORTED)
    return line


# --- evaluating the written file ----------------------------------------------------------------------


def instructions(text: str) -> list[tuple[str, str]]:
    """Parse a Modelfile's instructions as Ollama does; a ``PARAMETER`` is returned under its own name.

    Ollama drops non-printable characters, undoes no escapes, and ends a quotation only at the end of a line.
    Raises ValueError for an unterminated one.
    """
    printable = "".join(char for char in text if char.isprintable() or char in "\t\r\n")
    parsed, lines = [], iter(re.split(r"(?<=[\r\n])", printable))
    for line in lines:
        if line.startswith("#"):
            continue
        name, _, value = line.partition(" ")
        if name == PARAMETER:
            name, _, value = value.partition(" ")
        while (read := _unquoted(value.strip())) is None:
            next_line = next(lines, None)
            if next_line is None:
                raise ValueError("a quotation in it has no end")
            value += next_line
        if name.strip():
            parsed.append((name, read))
    return parsed


def _unquoted(value: str) -> str | None:
    """Return a value without its quotation marks; None if the quotation is unterminated."""
    for mark in ('"""', '"'):
        if value.startswith(mark):
            closed = len(value) >= 2 * len(mark) and value.endswith(mark)
            return value[len(mark) : -len(mark)] if closed else None
    return value


def render_modelfile(text: str, messages: Sequence[RowMessage]) -> str:
    """Render a conversation with the Modelfile ``text`` by Ollama's rules. Raises ValueError."""
    parsed = dict(instructions(text))
    template, system = parsed.get("TEMPLATE"), parsed.get("SYSTEM")
    if template is None:
        raise ValueError("the Modelfile has no template")
    if system is not None and messages[0]["role"] != SYSTEM:
        messages = [{"role": SYSTEM, "content": system}, *messages]
    before, inside = template.split("{{ range .Messages }}")
    inside, behind = inside.split("{{ end }}{{ end }}")
    cases = re.split(r"\{\{ (?:else )?if eq \.Role \"(\w+)\" \}\}", inside)
    bodies = dict(zip(cases[1::2], cases[2::2], strict=True))
    turns = [_run(bodies.get(message["role"], ""), message["content"]) for message in messages]
    return _run(before, "") + "".join(turns) + _run(behind, "")


def _run(body: str, content: str) -> str:
    """Evaluate a template body of literals and the content."""

    def value(action: str) -> str:
        return content if action == ".Content" else str(json.loads(ESCAPE.sub(character, action)))

    def character(escape: re.Match[str]) -> str:
        return chr(int(escape[1], 16)) if escape[1] else escape[0]

    return "".join(value(action) for action in ACTION.findall(body))


def stops_of(text: str) -> list[str]:
    """Return the stop sequences of a Modelfile."""
    return [value for name, value in instructions(text) if name == "stop"]


def faults(
    text: str,
    tokenizer: PreTrainedTokenizerBase,
    ends: Sequence[int],
    conversations: Sequence[Sequence[RowMessage]],
    *,
    adds_start: str,
) -> list[str]:
    """Describe each difference between Ollama and the training, one sentence each."""
    differences = []
    try:
        stops = set(stops_of(text))
    except ValueError as error:
        return [f"Its Modelfile cannot be read: {error}."]
    for messages in conversations:
        try:
            expected = render(tokenizer, messages, add_generation_prompt=True)
        except JobFailure:
            continue
        try:
            rendered = adds_start + render_modelfile(text, messages)
        except ValueError as error:
            return [f"Its Modelfile cannot be read: {error}."]
        if rendered != expected:
            differences.append(
                "Its Modelfile renders a conversation differently from the training's chat template."
            )
            break
    lacking = {token for token in tokenizer.convert_ids_to_tokens(list(ends)) if token} - stops
    if lacking:
        differences.append(f"Its Modelfile does not stop at {', '.join(sorted(lacking))}.")
    return differences
