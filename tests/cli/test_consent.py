"""A question at a terminal, and what its keys do."""

from __future__ import annotations

import builtins
import sys

import pytest

from arkor_dev.cli import consent


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
