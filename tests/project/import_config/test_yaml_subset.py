"""The part of YAML that configurations use is read as PyYAML reads it; the rest is refused with its line."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.project.import_config.yaml_subset import VALUES, parse_json, parse_yaml

CONFIG = """\
--- # of a tool
base_model: owner/model  # a comment
"quoted key": 'it''s'
url: https://example.com/a#b
number: 2e-4
other: [1e5, 1_000, 0x1f, .5, -3, +4, 1., 010]
flags: {yes: on, no: off, t: True, none: ~, empty: }
special: [.inf, -.inf]
nothing:
list:
- path: a.jsonl
  type: chat_template
  roles: {user: [human, user]}
-   - nested
    - "two\\n\\u00e9\\x41"
-
  late: 1
deep:
    one:
        two: [a,
          b,  # between
        c]
text: |
  {% if x %}
    indented: # no comment
  {% endif %}
folded: >-
  one
  two

  three
long: plain words
  that go on
last: "in two
  lines"
...
"""


def test_yaml_keys_have_their_line() -> None:
    section = parse_yaml(CONFIG)
    expected = {
        "base_model": "owner/model",
        "quoted key": "it's",
        "url": "https://example.com/a#b",
        "number": 2e-4,
        "other": [1e5, 1000, 31, 0.5, -3, 4, 1.0, 10.0],
        "flags": {"true": True, "false": False, "t": True, "none": None, "empty": None},
        "special": [math.inf, -math.inf],
        "nothing": None,
        "list": [
            {"path": "a.jsonl", "type": "chat_template", "roles": {"user": ["human", "user"]}},
            ["nested", "two\néA"],
            {"late": 1},
        ],
        "deep": {"one": {"two": ["a", "b", "c"]}},
        "text": "{% if x %}\n  indented: # no comment\n{% endif %}\n",
        "folded": "one two\nthree",
        "long": "plain words that go on",
        "last": "in two lines",
    }
    assert dict(section) == expected
    inner: Any = section["list"]
    for key, line in {**section.lines, **inner[0].lines}.items():
        assert CONFIG.splitlines()[line - 1].lstrip(' "-').startswith(key)
    yaml = pytest.importorskip("yaml")
    theirs = yaml.safe_load(CONFIG)
    # It reads a number without a point as text, digits after a 0 as octal, and keys by their values.
    assert {key: theirs[key] for key in theirs if key not in ("number", "other", "flags")} == {
        key: expected[key] for key in expected if key not in ("number", "other", "flags")
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x 1\n", "Line 1: not readable as YAML .an anchor"),
        ("a: 1\nb: *x\n", "Line 2: .*an alias"),
        ("a: !!python/name:os.system\n", "a tag"),
        ("a: {<<: 1}\nb:\n  <<: 2\n", "Line 3: .*merge keys"),
        ("? a\n: 1\n", "a key"),
        ("a: 1\n---\nb: 2\n", "Line 2: .*only one YAML document"),
        ("%YAML 1.2\n---\na: 1\n", "directives"),
        ("rate: 1\nother: 2\nrate: 3\n", "Line 3: .*rate is also in line 1"),
        ("a: {b: 1, b: 2}\n", "b is also in line 1"),
        ("a:\n\tb: 1\n", "Line 2: .*a tab"),
        ("a: 1\n   b: 2\n", "Line 2: .*unexpected indentation"),
        ("a: b: c\n", "a colon in a value needs quotes"),
        ("a: [1, 2\nb: 3\n", "a comma or ] is missing"),
        ("a: 'x\n", "a quote that does not end"),
        ("a: 'x' y\n", "unexpected text"),
        ("a: @x\n", "cannot start with @"),
        ("words\n", "no keys"),
        ("a: " + "[" * 60 + "]" * 60, "nests too deeply"),
        ("a:\n" + "".join(f"{' ' * n}- \n" for n in range(60)), "nests too deeply"),
        ("".join(f"k{n}: 1\n" for n in range(VALUES + 1)), "more than 20,000 values"),
    ],
)  # fmt: skip
def test_unsupported_yaml_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(BadRequestError, match=says):
        parse_yaml(text)


def test_json_keys_have_their_line_and_are_unique() -> None:
    section = parse_json('{\n "a": "\\ud83d\\ude00\\/",\n\t"b": {"c": [1e5, true, null, -2]}}')
    assert dict(section) == {"a": "😀/", "b": {"c": [1e5, True, None, -2]}}
    assert section.lines == {"a": 2, "b": 3}
    with pytest.raises(BadRequestError, match="a is also in line 1"):
        parse_json('{"a": 1, "a": 2}')


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{n}: 1\n" for n in range(100_000)),
        'a: "' + '\\"' * 200_000,
        "a: " + "'" * 200_001,
        "a: " + '"' * 200_001,
        " " * 200_000 + "x",
        "a " * 150_000 + ":",
        "a:" * 150_000,
        "a: [" + " " * 200_000 + "x",
        "a: |\n" + "\n" * 200_000,
        "\n" * 200_000,
        "{" * 200_000,
        "a: x" + " #" * 150_000,
        "a: {" + "b " * 150_000,
    ],
)
def test_hostile_yaml_takes_linear_time(text: str) -> None:
    before = time.process_time()
    with contextlib.suppress(BadRequestError):
        parse_yaml(text)
    assert time.process_time() - before < 5  # well below 1 s; quadratic: minutes
