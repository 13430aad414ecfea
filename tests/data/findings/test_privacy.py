"""What may not leave this machine is found, and ordinary text is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from arkor_dev.data.findings.privacy import Private, PrivateError

TOKEN = "hf_" + "aB3dE6gH9j" * 4
PRIVATE = Private(
    frozenset({"ann-smith", "quarry-7"}),
    frozenset({"/home/ann-smith", "/srv"}),
    frozenset({"correct-horse-9"}),
)


@pytest.mark.parametrize(
    "text",
    [
        "in /etc/passwd", "(/opt/data/x.jsonl)", "path=/var/lib/x", "~/models/tiny", "file:///x",
        r"C:\Users\Ann",
        r"\\host\share\x", '"/tmp/a/b"', "/srv", "see /home/ann-smith", "by Ann-Smith.", "on quarry-7:",
        "the key is correct-horse-9", f"token {TOKEN}", "write to ann@corp.io",
    ],
)  # fmt: skip
def test_private_text_is_found(text: str) -> None:
    assert PRIVATE.private_kind(text)


@pytest.mark.parametrize(
    "text",
    [
        "HuggingFaceTB/SmolLM2-135M-Instruct", "https://example.com/a/b/c", "and/or", "1/2/3",
        "./models/tiny",
        "a / b / c", "24/7 support", "annsmith", "quarry-77", "Loss 1.91", "</b></i>", "application/json",
        "path/to/this/folder", "", "km/h", "ann@example.com",
    ],
)  # fmt: skip
def test_ordinary_text_is_not_private(text: str) -> None:
    assert PRIVATE.private_kind(text) is None


def test_user_name_home_and_secret_variables_are_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv/people/jo")
    monkeypatch.setenv("USER", "jo-the-trainer")
    monkeypatch.setenv("LOGNAME", "jo-the-trainer")
    monkeypatch.setenv("MY_API_KEY", "s3cret-value-1")
    monkeypatch.setenv("WITH_PASSWORD", "disabled")
    monkeypatch.setattr("socket.gethostname", lambda: "quarry-7.example.org")
    here = Private.of_this_machine([Path("/data/jobs")], ["1"])
    assert here.private_kind("jo-the-trainer was here")
    assert here.private_kind("quarry-7")
    assert here.private_kind("x /srv/people/jo y")
    assert here.private_kind("the s3cret-value-1")
    assert here.private_kind("disabled") is None
    assert "s3cret" not in repr(here)


def test_common_user_and_host_names_are_not_private(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "root")
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    assert Private.of_this_machine().names == frozenset()


def test_a_refusal_names_the_kind_and_not_the_text() -> None:
    assert PRIVATE.check("a word such as ann-smith may be a name") is not None
    with pytest.raises(PrivateError) as refused:
        PRIVATE.check("x\n/home/ann-smith/x\n")
    assert "ann" not in str(refused.value)
