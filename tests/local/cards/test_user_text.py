"""What a person writes into a card stays when it is made again, wherever it stands."""

from __future__ import annotations

import pytest

from arkor_dev.local.cards.user_text import BEGIN, EMPTY, END, FRONT_BEGIN, FRONT_END, UserText

CARD = 'license: "apache-2.0"\ntags:\n- "lora"\n\n# Title\n\nText.'
NEWER = 'license: "apache-2.0"\ntags:\n- "lora"\nlanguage:\n- "en"\n\n# Title\n\nOther text.'


def test_a_new_card_has_front_matter_and_body() -> None:
    assert EMPTY.around(CARD) == (
        f'---\n{FRONT_BEGIN}\nlicense: "apache-2.0"\ntags:\n- "lora"\n{FRONT_END}\n---\n\n'
        f"{BEGIN}\n# Title\n\nText.\n{END}\n"
    )


def test_rewriting_a_card_is_idempotent() -> None:
    once = EMPTY.around(CARD)
    assert UserText.of(once) == EMPTY
    assert UserText.of(once).around(CARD) == once


def test_user_text_and_keys_are_kept() -> None:
    written = (
        EMPTY.around(CARD)
        .replace(BEGIN, f"Before.\n\n{BEGIN}")
        .replace(f"{END}\n", f"{END}\n\n## Mine\n\n- a\n\n---\n\nb\n")
        .replace(f"{FRONT_END}\n", f"{FRONT_END}\nlicense: mit\nthumbnail: x.png\n")
    )
    again = UserText.of(written).around(NEWER)
    assert again.count("license:") == 1
    assert "license: mit\nthumbnail: x.png\n---\n" in again
    assert again.index("Before.") < again.index(BEGIN) < again.index("Other text.") < again.index(END)
    assert again.endswith(f"{END}\n\n## Mine\n\n- a\n\n---\n\nb\n")
    assert "\nText." not in again
    assert UserText.of(again).around(NEWER) == again


def test_generated_lists_are_replaced_completely() -> None:
    again = UserText(front_matter="tags:\n- mine").around(NEWER)
    assert '- "lora"' not in again
    assert '- "en"' in again


@pytest.mark.parametrize(
    "written",
    [
        "# All mine\n\nText.",
        "---\nlicense: mit\n---\n\nMine.",
        f"Mine.\n{BEGIN}\nno end",
        f"Mine.\n{END}\nx",
        "",
    ],
)
def test_a_card_without_markers_is_kept_completely(written: str) -> None:
    again = UserText.of(written).around(CARD)
    for line in written.split("\n"):
        if line and line not in (BEGIN, END):
            assert line in again.split("\n")
    assert again.count(BEGIN) == again.count(END) == 1
    assert UserText.of(again).around(CARD) == again


def test_windows_line_ends_are_read() -> None:
    written = EMPTY.around(CARD).replace(END, f"{END}\n\nMine.").replace("\n", "\r\n")
    assert UserText.of(written) == UserText(after="Mine.")
