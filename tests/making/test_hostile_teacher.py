"""A teacher that echoes the key, counts too much, or asks for an absurd pause: nothing behind it notices."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.making import start
from arkor_dev.teacher import asker
from arkor_dev.teacher.answer import Decoder, delay_of
from arkor_dev.teacher.request import items_of
from tests.making.test_making import launch, make, options, rows, write_pages
from tests.support.scripted_teacher import Said, right, scripted

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings

__all__ = ["launch"]

KEY = "sk-live/4f9aZ-0123456789abcdef"
ZERO_WIDTH = "\u200b".join(KEY)
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in KEY)
COLOURED = f"{KEY[:9]}\x1b[0m{KEY[9:]}"


def found(launch: Settings) -> str:
    """Everything that the making run has stored, with zero-width characters removed."""
    stored = [*launch.local_data.rglob("*"), *launch.project.rglob("*")]
    text = "".join(path.read_bytes().decode(errors="replace") for path in stored if path.is_file())
    return text.replace("\u200b", "").replace("\\u200b", "")


@pytest.mark.parametrize(
    "echo", [KEY, ZERO_WIDTH, json.dumps(ZERO_WIDTH)[1:-1], ESCAPED, KEY.replace("/", "\\/")]
)
async def test_an_api_key_repeated_by_the_teacher_is_masked_everywhere(launch: Settings, echo: str) -> None:
    write_pages(launch, 1)

    def script(_: int, body: dict[str, Any]) -> Said:
        item = right(body).rows[0]  # type: ignore[index]
        text = json.dumps({"rows": [item]}).replace('"answer": "', f'"answer": "{echo} ')
        return Said(text=text)

    with scripted(script) as wise:
        done = await make(launch, options(wise, keyEnv="K"), {"K": KEY})
        assert wise.keys == [f"Bearer {KEY}"]
    (row,) = rows(launch)  # the row is still there, with the key masked
    assert row["messages"][1]["content"].startswith("… ")
    assert done["rows"] == 1
    assert KEY not in found(launch)


@pytest.mark.parametrize("echo", [KEY, ZERO_WIDTH, COLOURED, "\u200e".join(KEY)])
async def test_an_api_key_in_an_error_message_is_masked(launch: Settings, echo: str) -> None:
    write_pages(launch, 1)
    with scripted(lambda _, __: Said(status=401, text=f"bad key {echo}")) as wise:
        done = await make(launch, options(wise, keyEnv="K"), {"K": KEY})
    assert "(401: bad key …)" in (done["error"] or "")


async def test_token_counts_of_a_teacher_are_bounded(launch: Settings) -> None:
    """A count beyond the bounds of a request counts as the bounds, and the run says so."""
    write_pages(launch, 3)

    def script(_: int, body: dict[str, Any]) -> Said:
        answer = right(body)
        answer.usage = {"prompt_tokens": 2**39, "completion_tokens": 2**39}
        return answer

    with scripted(script) as wise:
        (task, *_), _ = await start.load_tasks(options(wise), launch.project)
        budget = 4 * (task.request.most_input() + task.request.max_tokens)
        done = await make(launch, options(wise, budgetTokens=budget))
    assert (done["state"], done["rows"]) == ("done", 3)
    assert done["inputTokens"] + done["outputTokens"] <= budget
    (said,) = done["leftOut"]
    assert "reports beyond the most that its requests can have" in said


@pytest.mark.parametrize(
    "header",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
        "1e400",
        "9" * 400,
    ],
)
async def test_a_retry_after_in_the_far_future_ends_the_run(launch: Settings, header: str) -> None:
    write_pages(launch, 1)
    with scripted(lambda _, __: Said(status=429, headers={"Retry-After": header})) as wise:
        done = await make(launch, options(wise))
    assert done["state"] == "failed"
    says = "asks to wait (429): for more than a day" if delay_of(header) else "(429), 6 times"
    assert says in (done["error"] or "")


def test_retry_after_is_a_bounded_number_or_none() -> None:
    assert [delay_of(text) for text in ("7", "-7", "nan", "", None, "soon", "\ud800")] == [
        7.0, 0.0, 0.0, None, None, None, None,
    ]  # fmt: skip
    assert delay_of("Thu, 01 Jan 1970 00:00:00 GMT") == 0.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1]",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"choices": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"choices": {"0": 1}, "usage": []}',
        b'{"choices": [{"message": {"content": ["a"]}}], "usage": {"prompt_tokens": 1e999}}',
        b'{"choices": [{"message": null}], "usage": {"prompt_tokens": true, "completion_tokens": -1}}',
        b'{"error": {"message": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}}",
        b'{"usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}",
    ],
)
def test_malformed_responses_are_decoded_to_a_reply(data: bytes) -> None:
    answer = Decoder(KEY).decode(data, 1000)
    assert isinstance(answer.text, str)
    assert isinstance(answer.message, str)
    assert (answer.input, answer.output) == (None, None)


def test_masking_the_key_takes_linear_time() -> None:
    """Texts made so that a naive search is quadratic: backslashes, near keys, endless zero width."""
    decoder = Decoder(KEY)
    for text in (
        "\\" * 500_000,
        (KEY[:-1] + "\u200b") * 20_000,
        KEY[0] + "\u200b" * 500_000,
        "\x1b[" * 200_000,
    ):
        before = time.process_time()
        decoder.masked(text)
        assert time.process_time() - before < 5  # 0.1 s; quadratic: minutes


def test_the_number_of_rows_in_an_answer_is_bounded() -> None:
    assert len(items_of('{"rows": [' + ",".join(["{}"] * 50_000) + "]}")) <= 1000


async def test_an_answer_above_the_token_limit_is_dropped(
    launch: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "PAUSES", (0.0,))
    write_pages(launch, 1)
    with scripted(lambda _, __: Said(text="x" * 2_000_000)) as wise:
        done = await make(launch, options(wise))
    assert "longer than was asked for" in (done["error"] or "")
    assert sum(path.stat().st_size for path in launch.local_data.iterdir()) < 200_000
