"""A question at a terminal, and what its keys do."""

from __future__ import annotations

import builtins
import sys
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from arkor_dev.cli import consent

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings


@pytest.mark.parametrize("key", [KeyboardInterrupt, EOFError])
def test_what_follows_a_key_that_ends_the_question_begins_a_line(
    key: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(question: str) -> str:
        sys.stdout.write(question)
        raise key

    monkeypatch.setattr(consent, "can_ask", lambda: True)
    monkeypatch.setattr(builtins, "input", asked)
    try:
        assert not consent.confirm("This changes 5 rows.", "Change them?", yes=False)
    except KeyboardInterrupt:
        assert key is KeyboardInterrupt
    else:
        assert key is EOFError
    assert capsys.readouterr().out == "This changes 5 rows.\nChange them? [y/N] \n"


def test_notices_are_asked_about_once_for_each_project_and_content(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = settings.project / "arkor.toml"
    said: list[str] = []
    question = Mock(side_effect=["n", "y", "y"])
    monkeypatch.setattr(builtins, "input", question)
    toml.write_text('[notify]\ncommand = ["./tell", "$HOME"]\n')
    monkeypatch.setattr(consent, "can_ask", lambda: False)
    consent.ask_about_notices(settings, said.append)
    assert "would run ./tell '$HOME' when a job ends. Nobody has agreed to that" in said[0]
    monkeypatch.setattr(consent, "can_ask", lambda: True)
    for _ in range(3):  # refused, agreed, known
        consent.ask_about_notices(settings, said.append)
    assert question.call_count == 2
    toml.write_text('[notify]\ncommand = ["./tell", "all"]\n')
    for _ in range(2):
        consent.ask_about_notices(settings, said.append)
    assert question.call_count == 3
    assert len(said) == 1
