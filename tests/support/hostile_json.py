"""JSON that is odd in its numbers, its depth or its characters: what no handler may answer with a 500."""

from __future__ import annotations

VALUES = {
    "300 digits": "1" + "0" * 299,
    "400 digits": "1" + "0" * 399,
    "400 digits below zero": "-1" + "0" * 399,
    "5,000 digits": "1" + "0" * 4999,
    "past 64 bits": "18446744073709551616",
    "1e999": "1e999",
    "-1e999": "-1e999",
    "tiny": "1e-999",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "a fraction": "0.5",
    "half a character": '"\\ud800"',
    "NUL": '"\\u0000"',
    "a list": "[]",
    "an object": "{}",
    "null": "null",
    "true": "true",
    "nested 100 deep": "[" * 100 + "]" * 100,
    "nested 980 deep": "[" * 980 + "]" * 980,
    "nested 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "objects 100,000 deep": '{"a":' * 100_000 + "1" + "}" * 100_000,
}
"""By name, what stands in the place of a value."""


def with_value(template: str, value: str) -> bytes:
    """``template``, a JSON text with ``@`` for one value."""
    return template.replace("@", value).encode()
