"""Sample answers in a card: the ideal answer, the base's, and this one's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .escaping import inline, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arkor_dev.data.findings.privacy import Private

MOST: Final = 4
QUESTION: Final = 300
ANSWER: Final = 600


def answers(samples: Sequence[Mapping[str, Any]], step: object, private: Private) -> Iterator[str]:
    """Yield a section with the answers of ``step`` to the first few questions, beside the base's, or
    nothing.

    A sample is as in ``sample.created``, ``{step, number?, prompt, answer, wanted?}``; that of step 0 is the
    base's. A question with something private is omitted with its answers.
    """
    if type(step) is not int:  # another program's statement may contain it
        return
    asked: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for sample in samples:
        prompt, answer, asked_at = (sample.get(key) for key in ("prompt", "answer", "step"))
        number = sample.get("number", 0)
        if isinstance(prompt, str) and isinstance(answer, str) and type(asked_at) is type(number) is int:
            asked.setdefault((prompt, number), []).append(sample)
    told = []
    for (prompt, _), given in asked.items():
        at = {each["step"]: each for each in given}
        before, after = (at[place]["answer"] if place in at else None for place in (0, step))
        wanted = next((each["wanted"] for each in given if isinstance(each.get("wanted"), str)), None)
        parts = [("wanted", wanted), ("base", before), ("this", after)]
        texts = [(name, text) for name, text in parts if isinstance(text, str)]
        said = (prompt, *(text for _, text in texts))
        if step and after is not None and not any(map(private.found, said)):
            told.append((prompt, texts))
    if not told:
        return
    yield "## Sample answers"
    for prompt, texts in told[:MOST]:
        yield f"**{inline(prompt, QUESTION) or '(no prompt)'}**"
        for name, text in texts:
            yield "\n".join([f"{name}:", "", *(quoted(text, ANSWER) if text.strip() else ["> (nothing)"])])
