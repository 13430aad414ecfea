"""What is JSON to Python alone is none to us."""

from __future__ import annotations

import json

import pytest

from arkor_dev.contract.strict_json import DEPTH, StrictJSONError, parse
from tests.support.hostile_json import VALUES


def test_parsed_json_can_be_serialized_again() -> None:
    taken = []
    for name, value in VALUES.items():
        try:
            read = parse(value.encode())
        except StrictJSONError:
            continue
        taken.append(name)
        assert parse(json.dumps(read, allow_nan=False, ensure_ascii=False).encode()) == read
    assert {"a fraction", "NUL", "null", "nested 100 deep"} <= set(taken)
    odd = {"400 digits", "5,000 digits", "1e999", "NaN", "Infinity", "half a character", "nested 980 deep"}
    assert not odd & set(taken)


@pytest.mark.parametrize("text", ["[" * DEPTH + "]" * DEPTH, '{"a":' * DEPTH + "1" + "}" * DEPTH])
def test_nesting_depth_is_limited(text: str) -> None:
    assert parse(text.encode())
    with pytest.raises(StrictJSONError, match="is nested more than 100 deep"):
        parse(f"[{text}]".encode())
    assert parse(json.dumps(["[" * 1000, *([[]] * 1000)]).encode())  # wide, not deep


def test_lone_surrogates_and_invalid_utf8_are_refused() -> None:
    assert parse(rb'"\ud83d\ude00 \\ud800"') == "😀 \\ud800"
    for half in (rb'"\ud83d"', rb'{"\uDC00": 1}', b'"\xed\xa0\xbd"', '"a"'.encode("utf-16"), b"\xff"):
        with pytest.raises(StrictJSONError, match=r"contains a lone surrogate|is not JSON"):
            parse(half)
