"""The line scanner against documents that are awkward to scan, and against tomllib's own reading."""

from __future__ import annotations

import tomllib

import pytest

from arkor_dev.project.toml.positions import Path, key_lines

DOCUMENT = r"""# [[not a table]]
top = "a # b = c"
"quoted key" = 1

[[trainer]]
name = "one" # name = "two"
steps = 40
dataset = { huggingface = "a/b", split = 'train' }
text = '''
steps = 1
[[trainer]]
quotes at the end''''
later = 1

[trainer.lora]
r = 8

[[trainer]]
name = 'a " and a # of its own'
lora.r = 4
lora . "alpha" = 16
list = [
  1, # [x]
  [2, "]"],
  { a = 1 },
]

  [ other . "dotted table" ]
when = 1979-05-27 07:32:00
literal = '''
]] = {'''
end = true
"""

EXPECTED: dict[Path, int] = {
    ("top",): 2,
    ("quoted key",): 3,
    ("trainer",): 5,
    ("trainer", 0): 5,
    ("trainer", 0, "name"): 6,
    ("trainer", 0, "steps"): 7,
    ("trainer", 0, "dataset"): 8,
    ("trainer", 0, "dataset", "huggingface"): 8,
    ("trainer", 0, "dataset", "split"): 8,
    ("trainer", 0, "text"): 9,
    ("trainer", 0, "later"): 13,
    ("trainer", 0, "lora"): 15,
    ("trainer", 0, "lora", "r"): 16,
    ("trainer", 1): 18,
    ("trainer", 1, "name"): 19,
    ("trainer", 1, "lora"): 20,
    ("trainer", 1, "lora", "r"): 20,
    ("trainer", 1, "lora", "alpha"): 21,
    ("trainer", 1, "list"): 22,
    ("trainer", 1, "list", 0): 23,
    ("trainer", 1, "list", 1): 24,
    ("trainer", 1, "list", 1, 0): 24,
    ("trainer", 1, "list", 1, 1): 24,
    ("trainer", 1, "list", 2): 25,
    ("trainer", 1, "list", 2, "a"): 25,
    ("other",): 28,
    ("other", "dotted table"): 28,
    ("other", "dotted table", "when"): 29,
    ("other", "dotted table", "literal"): 30,
    ("other", "dotted table", "end"): 32,
}


def paths_of(value: object, at: Path = ()) -> set[Path]:
    """Every path by which something can be reached in a parsed document."""
    found: set[Path] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= {(*at, key)} | paths_of(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found |= {(*at, index)} | paths_of(inner, (*at, index))
    return found


def test_every_key_has_its_line() -> None:
    assert key_lines(DOCUMENT) == EXPECTED


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_key_paths_match_tomllib(ending: str) -> None:
    text = DOCUMENT.replace("\n", ending)
    assert set(key_lines(text)) == paths_of(tomllib.loads(text))
    assert key_lines(text) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        'a = ""',
        'a = """"""\nb = 1',
        'a = """\\""""\nb = 1',
        "a = ''''''\nb = 1",
        "a = '''''x'''''\nb = 1",
        'a = "\\"] = # \\\\"\nb = 1',
        "a = []\nb = {}\nc = [[], [{}]]",
        "a = [1,\n\n# x\n2,\n]\nb = 1",
        'a = {b.c = 1, "d.e" = 2}\n',
        "[a]\n[a.b]\nc = 1\n[[a.d]]\n[[a.d.e]]\nf = 1\n[[a.d.e]]\n[[a.d]]\n[[a.d.e]]\ng = 1",
        "3.14 = 'pi'",
        'a = "ünï"\n"ключ" = 1',
        "a = +1_000\nb = -inf\nc = 0xDEAD\nd = 1e-3\ne = 07:32:00.5",
    ],
)
def test_key_paths_of_unusual_documents_match_tomllib(text: str) -> None:
    assert set(key_lines(text)) == paths_of(tomllib.loads(text))


def test_a_long_document_is_scanned_in_linear_time() -> None:
    text = "[[trainer]]\nname = 'x'\n" * 20_000
    lines = key_lines(text)
    assert lines["trainer", 19_999, "name"] == 40_000
