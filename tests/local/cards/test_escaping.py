"""Whatever a text holds, in Markdown it is text and in YAML one value."""

from __future__ import annotations

import re
from typing import Any

import pytest

from arkor_dev.local.cards.escaping import front_matter, inline, quoted, scalar

HOSTILE = [
    'a"\nlicense: mit\n---\n# x',
    "--- \n...",
    "<script>alert(1)</script>",
    "<!-- arkor-dev: end -->",
    "```\nrm -rf\n```",
    "[click](javascript:alert(1)) ![x](https://evil.example/p.png)",
    "| a | b |\n|---|---|",
    "* item\n+ item\n1. item\n# head\n===",
    "https://evil.example www.evil.example @somebody",
    "&lt;b&gt; &#60;script&#62;",
    "\x1b[31mred\x07 \u202egnp.exe \u2028 \ufeff \x85",
    "{a: b} !!python/object:os.system [x] *alias &anchor % @ `",
    "yes", "2020-01-01", "1e5", "null", "~", "😀 \U0001f98a é ñ", "$x$ _y_ **z** ~~w~~", "\\", "",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_text_round_trips_through_yaml(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    value: dict[str, Any] = {"a": text, "b": [text, {"c": text, "d": 1.5}]}
    value["e"] = {"f": text, "g": [{"h": text}]}
    lines = front_matter(value)
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith(("---", "...")) for line in lines)
    read = yaml.safe_load("\n".join(lines))
    told = read["a"]
    assert isinstance(told, str)
    assert read == {"a": told, "b": [told, {"c": told, "d": 1.5}], "e": {"f": told, "g": [{"h": told}]}}
    letters = [character for character in text if character.isprintable() and character != " "]
    assert [c for c in told if c != " "] == [c for c in letters if c in told]


def test_numbers_and_booleans_keep_their_type() -> None:
    assert [scalar(each) for each in (1, 0.5, True, "true")] == ["1", "0.5", "true", '"true"']


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_escaped_in_markdown(text: str) -> None:
    lines = [inline(text, 500), *quoted(text, 500)]
    for line in lines:
        bare = re.sub(r"\\.", "x", line.removeprefix(">").removesuffix("\\"))
        assert not re.search(r"[`*_\[\]|~<$]", bare)
        assert not re.search(r"://|www\.|@", bare)
        assert not re.match(r"\s*(#|[-+=]|\d+[.)]\s)", bare)
        assert "<!--" not in line
        assert all(character.isprintable() for character in line)


def test_plain_sentences_stay_readable() -> None:
    sentence = "Better than the base: loss 1.91 instead of 3.42 on 12 held-out rows, 95 % interval 1 to 2."
    assert inline(sentence, 600) == sentence


def test_long_text_is_truncated() -> None:
    assert inline("x" * 1000, 10) == "xxxxxxxxx…"
    assert quoted("a\nb\n\nc", 100) == ["> a\\", "> b", ">", "> c"]
