"""Edits of arkor.toml: exactly what was asked, and all else as it stood, on odd and on generated files."""

from __future__ import annotations

import difflib
import random
import time
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.settings import SETTINGS, tables
from arkor_dev.project.starter_toml import starter_toml
from arkor_dev.project.toml import edit as editor
from arkor_dev.project.toml.edit import EditError, to_toml
from tests.support.in_ci import in_ci

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN = """\
# My trainers.

[[trainer]]  # the first
name = "a"
model = "m"   # small
dataset = "d.jsonl"
steps = 40    # enough for a try
learning_rate = 2e-3

[trainer.lora]
r = 8  # rank

# The long one.
[[trainer]]
name = "b"
model = "m"
dataset = "d.jsonl"
"""


def edit(text: str, trainer: int, changes: Mapping[str, object]) -> str:
    """`edit.edit` by key, as the files below are written."""
    fields = {row.key: row.field for row in SETTINGS}
    return editor.edit(text, trainer, {fields[key]: value for key, value in changes.items()})


def difference(before: str, after: str) -> list[str]:
    """The lines that went (-) and came (+), without those around them."""
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line[0] + line[2:] for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("trainer", "changes", "lines"),
    [
        (0, {"steps": 60}, ["-steps = 40    # enough for a try\n", "+steps = 60    # enough for a try\n"]),
        (0, {"learning_rate": 5e-4}, ["-learning_rate = 2e-3\n", "+learning_rate = 5e-4\n"]),
        (0, {"learning_rate": 0.01}, ["-learning_rate = 2e-3\n", "+learning_rate = 1e-2\n"]),
        (0, {"lora.r": 16}, ["-r = 8  # rank\n", "+r = 16  # rank\n"]),
        (0, {"lora.alpha": 32}, ["+alpha = 32\n"]),
        (0, {"batch_size": 2}, ["+batch_size = 2\n"]),
        (0, {"steps": None}, ["-steps = 40    # enough for a try\n", "+# enough for a try\n"]),
        (0, {"learning_rate": None}, ["-learning_rate = 2e-3\n"]),
        (0, {"seed": None, "lora.alpha": None}, []),
        (1, {"lora.r": 4}, ["+lora.r = 4\n"]),
        (1, {"epochs": 2, "seed": 0}, ["+epochs = 2\n", "+seed = 0\n"]),
        (1, {"model": 'C:\\new "x"'}, ['-model = "m"\n', '+model = "C:\\\\new \\"x\\""\n']),
    ],
)
def test_only_affected_lines_change(trainer: int, changes: dict[str, object], lines: list[str]) -> None:
    assert difference(PLAIN, edit(PLAIN, trainer, changes)) == lines


def test_new_keys_follow_the_order_of_the_settings() -> None:
    after = edit(PLAIN, 0, {"batch_size": 2, "seed": 1, "epochs": 1, "lora.alpha": 16})
    keys = [line.partition(" ")[0] for line in after.splitlines()[3:13]]
    assert keys == [
        "name",
        "model",
        "dataset",
        "steps",
        "epochs",
        "batch_size",
        "learning_rate",
        "seed",
        "",
        "[trainer.lora]",
    ]
    assert after.splitlines()[13:15] == ["r = 8  # rank", "alpha = 16"]


def test_in_the_starter_file_a_key_is_written_below_its_comment() -> None:
    starter = starter_toml()
    shown = [row for row in SETTINGS if f"\n# {row.name} = " in starter]
    assert len(shown) > 1
    for row in shown:
        lines = edit(starter, 0, {row.key: row.sample_value}).splitlines()
        at = next(n for n, line in enumerate(lines) if line.startswith(f"# {row.name} = "))
        assert lines[at + 1] == f"{row.name} = {to_toml(row.sample_value)}"
        assert edit("\n".join([*lines, ""]), 0, {row.key: None}) == starter


ODD: list[tuple[str, Mapping[str, object], str]] = [
    # line ends, and none at the end
    ("A\r\nsteps = 1 # c\r\nseed = 2\r\n", {"steps": 3, "epochs": None},
     "A\r\nsteps = 3 # c\r\nseed = 2\r\n"),
    ("A\r\nsteps = 1\r\n", {"seed": 2}, "A\r\nsteps = 1\r\nseed = 2\r\n"),
    ("A\r\nsteps = 1", {"seed": 2}, "A\r\nsteps = 1\r\nseed = 2"),
    ("A\nsteps = 1", {"seed": 2}, "A\nsteps = 1\nseed = 2"),
    ("A\nsteps = 1\nseed = 2", {"seed": None}, "A\nsteps = 1"),
    ("A\r\nsteps = 1\r\nseed = 2", {"seed": None}, "A\r\nsteps = 1"),
    ("A\nsteps = 1\nseed = 2 # c", {"seed": None}, "A\nsteps = 1\n# c"),
    # spacing
    ("A\n\tsteps=1\t# c\n", {"steps": 2, "seed": 3}, "A\n\tsteps=2\t# c\n\tseed=3\n"),
    ("A\nsteps      = 1\n", {"seed": 3}, "A\nsteps      = 1\nseed       = 3\n"),
    ("A\nseed  = 1\n", {"batch_size": 3}, "A\nbatch_size = 3\nseed  = 1\n"),
    ("A\nsteps\t=\t1\n", {"seed": 3}, "A\nsteps\t=\t1\nseed\t=\t3\n"),
    ("A\n  steps = 1\n  \n", {"steps": None}, "A\n  \n"),
    # quotes
    ("A\nscheduler = 'linear' # 'c'\n", {"scheduler": "cosine"}, "A\nscheduler = 'cosine' # 'c'\n"),
    ('A\nscheduler = """linear"""\n', {"scheduler": "cosine"}, 'A\nscheduler = "cosine"\n'),
    ("A\n\"steps\" = 1\n'seed'=2\n", {"steps": 5, "seed": 6}, "A\n\"steps\" = 5\n'seed'=6\n"),
    # a text that looks like keys, with the same key in it
    ("A\nnote = '''\nsteps = 9\n[[trainer]]\n# no comment'''\nsteps = 1\n", {"steps": 2},
     "A\nnote = '''\nsteps = 9\n[[trainer]]\n# no comment'''\nsteps = 2\n"),
    ("A\nnote = '''\n# seed = 9'''\nsteps = 1\n", {"seed": 2},
     "A\nnote = '''\n# seed = 9'''\nsteps = 1\nseed = 2\n"),
    ("A\nnote = [ # c\n 1, # seed = 2\n]\nseed = 3\n", {"seed": 4},
     "A\nnote = [ # c\n 1, # seed = 2\n]\nseed = 4\n"),
    # a comment that shows the key
    ("A\n#seed = 9\n\n# end\n", {"seed": 2}, "A\n#seed = 9\nseed = 2\n\n# end\n"),
    ("A\nsteps = 1\n\n[trainer.lora]\n# r = 9\n", {"lora.r": 2},
     "A\nsteps = 1\n\n[trainer.lora]\n# r = 9\nr = 2\n"),
    # aliases
    ("A\nmax_steps = 1\n", {"steps": 2}, "A\nmax_steps = 2\n"),
    ("A\nnum_train_epochs = 1\nlora.lora_alpha = 2\n", {"epochs": None, "lora.alpha": 4},
     "A\nlora.lora_alpha = 4\n"),
    ("A\nmax_steps = 1\nseed = 1\n", {"batch_size": 2}, "A\nmax_steps = 1\nbatch_size = 2\nseed = 1\n"),
    # tables
    ("A\nlora = {}\n", {"lora.r": 2}, "A\nlora = { r = 2 }\n"),
    ("A\nlora = { r = 8 } # c\n", {"lora.alpha": 16}, "A\nlora = { r = 8, alpha = 16 } # c\n"),
    ("A\nlora = { r = 8, alpha = 16 }\n", {"lora.r": None}, "A\nlora = { alpha = 16 }\n"),
    ("A\nlora = { r = 8, alpha = 16 }\n", {"lora.alpha": None}, "A\nlora = { r = 8 }\n"),
    ("A\nlora = {r=8}\n", {"lora.r": None}, "A\nlora = {}\n"),
    ("A\nlora.r = 8\nseed = 1\n", {"lora.alpha": 2}, "A\nlora.r = 8\nlora.alpha = 2\nseed = 1\n"),
    ("A\nlora . \"r\" = 8\n", {"lora.r": 2}, "A\nlora . \"r\" = 2\n"),
    ("A\nlora.r = 8\n", {"steps": 2}, "A\nsteps = 2\nlora.r = 8\n"),
    ("A\n\n[trainer.lora] # c", {"lora.r": 2}, "A\n\n[trainer.lora] # c\nr = 2"),
    ("A\n\n  [ trainer . 'lora' ]\n  r = 1\n", {"lora.alpha": 2},
     "A\n\n  [ trainer . 'lora' ]\n  r = 1\n  alpha = 2\n"),
]  # fmt: skip
HEAD = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = "d"'


@pytest.mark.parametrize(("before", "changes", "after"), ODD, ids=[repr(each[0]) for each in ODD])
def test_unusual_files_are_edited_correctly(before: str, changes: Mapping[str, object], after: str) -> None:
    head = HEAD.replace("\n", "\r\n") if "\r" in before else HEAD
    before, after = (text.replace("A", head, 1) for text in (before, after))
    assert edit(before, 0, changes) == after
    # As the second of three, too: what stands around it is left alone.
    around = [f'[[trainer]]\nname = "{n}"\nsteps = 7 # seven\nlora = {{ r = 1 }}\n\n' for n in "xy"]
    if before.endswith("\n"):
        assert edit(around[0] + before + around[1], 1, changes) == around[0] + after + around[1]
    assert edit(around[0] + before, 1, changes) == around[0] + after


def test_trainers_in_an_inline_array_are_edited() -> None:
    text = 'trainer = [\n  { name = "a", steps = 3 }, # one\n  { name = "b", lora = { r = 1 } },\n]\n'
    assert edit(text, 0, {"steps": 4, "lora.r": 2}) == text.replace("steps = 3", "steps = 4, lora.r = 2")
    assert edit(text, 1, {"lora.r": None, "seed": 5}) == text.replace("{ r = 1 }", "{ }, seed = 5")


def test_comments_inside_a_list_are_moved_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{HEAD}\n  steps = [ # why\n    1, # one\n  ] # all\n"
    assert edit(text, 0, {"steps": 2}) == f"{HEAD}\n  # why\n  # one\n  steps = 2 # all\n"
    assert edit(text, 0, {"steps": None}) == f"{HEAD}\n  # why\n  # one\n  # all\n"


def test_a_list_keeps_its_quotes() -> None:
    assert to_toml(["q_proj", "v_proj"], "['a', \"b\"]") == "['q_proj', 'v_proj']"
    assert to_toml(["a'b\x7f", 1, True]) == '["a\'b\\u007f", 1, true]'


def test_all_other_values_are_kept() -> None:
    """NaN, dates and deep tables: compared by what they are, and never touched."""
    more = "[other]\nn = nan\nwhen = 1979-05-27T07:32:00.5Z\nx = -0.0\nhex = 0xFF\n"
    text = f"{HEAD}\nsteps = 1\n{more}"
    assert edit(text, 0, {"steps": 2}) == f"{HEAD}\nsteps = 2\n{more}"


def test_editing_a_hostile_file_takes_linear_time() -> None:
    """Whatever is long: a search that begins anew at each character would take minutes."""
    space, lines = " " * 400_000, "# seed = 1\n" * 5000
    text = f"{HEAD}\nlora = {{ r = 1,{space}alpha = 2{space}}}\nnote = '''\n{lines}'''\n{lines}{space}\n"
    began = time.process_time()
    after = edit(text, 0, {"lora.alpha": None, "seed": 2, "steps": 1, "lora.r": None})
    assert time.process_time() - began < 5
    assert after.count("# seed = 1") == 10_000
    assert after.count("\nseed = 2\n") == 1


def test_an_edit_that_would_change_other_values_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(EditError):
        edit(f"{HEAD}\nlora = 3\n", 0, {"lora.r": 2})
    for wrong in ("7", '"2"', "2.0", "2\nseed = 1", "2 # more", "["):
        monkeypatch.setattr(editor, "to_toml", lambda *_, wrong=wrong: wrong)
        with pytest.raises(EditError):
            edit(f"{HEAD}\nsteps = 1\n", 0, {"steps": 2})


# --- generated files ----------------------------------------------------------------------------------------


class Author:
    """Writes files as people might, each of them valid, with a comment wherever one can stand."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.end = self.chance.choice(["\n", "\r\n"])
        self.comments: list[str] = []

    def comment(self) -> str:
        text = self.chance.choice(["steps = 3", "'", '"""', "[[trainer]]", "ö \u2028", "lora.r = 2", "{", ""])
        self.comments.append(f"#{self.chance.choice(['', ' '])}{text} {len(self.comments)}")
        return self.comments[-1]

    def space(self) -> str:
        return self.chance.choice(["", " ", " ", "  ", "\t"])

    def value(self, value: object) -> str:
        if isinstance(value, str) and "'" not in value and self.chance.random() < 0.4:
            return f"'{value}'"
        if isinstance(value, str) and self.chance.random() < 0.2:
            return f'"""{self.end}{value}"""'
        return to_toml(value)

    def pair(self, key: str, value: object, indent: str = "") -> str:
        name = key if self.chance.random() < 0.8 else self.chance.choice(['"{}"', "'{}'"]).format(key)
        tail = self.space() + (self.comment() if self.chance.random() < 0.4 else "")
        return f"{indent}{name}{self.space()}={self.space()}{self.value(value)}{tail}{self.end}"

    def filler(self) -> str:
        lines = [
            self.chance.choice(["", self.space(), self.comment()]) for _ in range(self.chance.randrange(3))
        ]
        return "".join(line + self.end for line in lines)

    def trainer(self, number: int) -> str:
        rows = self.chance.sample(SETTINGS, self.chance.randrange(len(SETTINGS)))
        direct = [row for row in rows if not row.table]
        pairs: list[tuple[str, object]] = [
            ("name", f"t{number}"),
            ("dataset", "d.jsonl"),
            *((self.chance.choice([r.key, *r.aliases]), value_of(r, self.chance)) for r in direct),
        ]
        self.chance.shuffle(pairs)
        lines = [self.pair(key, value, self.space()) for key, value in pairs]
        below = ""
        for table in tables():
            held = {
                self.chance.choice(row.names): value_of(row, self.chance)
                for row in rows
                if row.table == table
            }
            form = self.chance.choice(["table", "inline", "dotted"])
            if form == "table" and held:
                below += f"{self.filler()}[trainer.{table}]{self.space()}{self.end}"
                below += "".join(self.filler() + self.pair(name, value) for name, value in held.items())
            elif form == "inline" and held:
                inner = f"{self.space()},{self.space()}".join(
                    f"{name}{self.space()}={self.space()}{to_toml(v)}" for name, v in held.items()
                )
                braces = f"{{{self.space()}{inner}{self.space()}}}"
                lines.append(f"{table} = {braces}{self.space()}{self.comment()}{self.end}")
            elif form == "dotted":
                lines += [f"{table}{self.space()}.{self.pair(name, value)}" for name, value in held.items()]
        self.chance.shuffle(lines)
        body = "".join(self.filler() + line for line in lines) + below
        return f"{self.filler()}[[trainer]]{self.space()}{self.comment()}{self.end}{body}"

    def file(self, trainers: int) -> str:
        text = "".join(self.trainer(n) for n in range(trainers)) + self.filler()
        return text.rstrip("\r\n") if self.chance.random() < 0.3 else text


def value_of(row: Any, chance: random.Random) -> object:
    """Some value that the row allows."""
    rule = row.rule
    match rule.kind:
        case "flag":
            return chance.random() < 0.5
        case "choice":
            return chance.choice(rule.choices)
        case "whole":
            return chance.randint(int(rule.low), int(min(rule.high, 10**6)))
        case "number":
            return chance.choice([rule.high, (rule.low + rule.high) / 3, 3.25e-7 if rule.above else rule.low])
        case "text":
            return chance.choice(["m", "a/b", 'q"uo\\te', "it's # no comment", "ünï"])
    return row.sample_value


@pytest.mark.parametrize("seed", [*range(25), *map(in_ci, range(25, 100))])
def test_random_files_are_edited_correctly(seed: int) -> None:
    author = Author(seed)
    count = author.chance.randint(1, 3)
    text = author.file(count)
    before = tomllib.loads(text)
    trainer = author.chance.randrange(count)
    rows = author.chance.sample(SETTINGS, author.chance.randint(1, 6))
    changes = {
        row.key: None if author.chance.random() < 0.3 else value_of(row, author.chance) for row in rows
    }
    after = edit(text, trainer, changes)

    wanted = before["trainer"][trainer]
    for row in rows:
        held = wanted.setdefault(row.table, {}) if row.table else wanted
        name = next((name for name in row.names if name in held), row.name)
        held.pop(name, None)
        if changes[row.key] is not None:
            held[name] = changes[row.key]
    now = tomllib.loads(after)
    for side in (wanted, now["trainer"][trainer]):
        for table in tables():
            if not side.get(table):
                side.pop(table, None)
    assert now == before
    # No other line has moved, gone or come, and none has another end.
    went = [line for line in difference(text, after) if line[0] == "-"]
    came = [line for line in difference(text, after) if line[0] == "+"]
    assert len(went) <= 3 * len(changes)
    assert len(came) <= 3 * len(changes)
    assert after.count("\r") == (after.count("\n") if author.end == "\r\n" else 0)
    assert after.endswith(("\n", "\r\n")) == text.endswith(("\n", "\r\n"))
    assert [each for each in author.comments if after.count(each) != text.count(each)] == []
    # What is asked again changes nothing more.
    assert edit(after, trainer, changes) == after


MAPPED = {"prompt": "question", "completion": "the answer"}
COLUMNS = '{ prompt = "question", completion = "the answer" }'


@pytest.mark.parametrize(
    ("before", "part", "after"),
    [
        ('dataset = "a.csv" # mine', 0, f'dataset = {{ path = "a.csv", columns = {COLUMNS} }} # mine'),
        (
            'dataset = {path="a.csv", group="id", columns={text="x"}}',
            0,
            f'dataset = {{ path = "a.csv", group = "id", columns = {COLUMNS} }}',
        ),
        (
            'dataset = [\n  "b.csv", # one\n  "a.csv" # two\n]',
            1,
            f'dataset = [\n  "b.csv", # one\n  {{ path = "a.csv", columns = {COLUMNS} }} # two\n]',
        ),
        ('  dataset.path = "a.csv"', 0, f'  dataset.path = "a.csv"\n  dataset.columns = {COLUMNS}'),
        (
            '[trainer.dataset] # t\npath = "a.csv"',
            0,
            f'[trainer.dataset] # t\npath = "a.csv"\ncolumns = {COLUMNS}',
        ),
    ],
)
def test_columns_are_written_beside_the_data_set(before: str, part: int, after: str) -> None:
    head = '[[trainer]]\nname = "a"\n'
    for end in ("\n", "\n\n# the end\n", ""):
        assert editor.set_columns(head + before + end, 0, part, MAPPED) == head + after + end
        crlf = (head + before + end).replace("\n", "\r\n")
        assert editor.set_columns(crlf, 0, part, MAPPED) == (head + after + end).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("before", "part", "after"),
    [
        ('dataset = "a" # mine', 0, 'dataset = { path = "a", exclude = ["1", "2#2"] } # mine'),
        ('dataset = ["b", "a"]', 1, 'dataset = ["b", { path = "a", exclude = ["1", "2#2"] }]'),
        ('[trainer.dataset]\npath = "a"', 0, '[trainer.dataset]\npath = "a"\nexclude = ["1", "2#2"]'),
    ],
)
def test_excluded_rows_can_be_included_again(before: str, part: int, after: str) -> None:
    head = '[[trainer]]\nname = "a"\n'
    excluded = editor.set_excluded(head + before, 0, part, ["1", "2#2", "1"], excluded=True)
    assert excluded == head + after
    assert editor.set_excluded(excluded, 0, part, ["1"], excluded=True).count('"1"') == 1
    one = editor.set_excluded(excluded, 0, part, ["1"], excluded=False)
    assert one == (head + after).replace('"1", ', "")
    none = editor.set_excluded(one, 0, part, ["2#2", "unknown"], excluded=False)
    assert none == head + after.replace(', exclude = ["1", "2#2"]', "").replace('["1", "2#2"]', "[]")


def test_set_dataset_changes_the_path_only() -> None:
    head = '[[trainer]]\nname = "a"\n'
    assert (
        editor.set_dataset(f'{head}dataset = "a.csv" # mine\n', 0, "b.csv")
        == f'{head}dataset = "b.csv" # mine\n'
    )
    assert editor.set_dataset(f"{head}dataset = 'a.csv'\n", 0, "b.csv") == f"{head}dataset = 'b.csv'\n"
    with pytest.raises(EditError):
        editor.set_dataset(f'{head}dataset = ["a.csv", # mine\n"b.csv"]\n', 0, "c.csv")


@pytest.mark.parametrize(
    ("before", "weights", "after"),
    [
        ('dataset = ["a", "b"] # two', [2, 1], 'dataset = [{ path = "a", weight = 2 }, "b"] # two'),
        (
            'dataset = ["a", { path = "b", weight = 2 }]',
            [0, 1],
            """dataset = [{ path = "a", weight = 0 }, \
{ path = "b", weight = 1 }]""",
        ),
        ('dataset = { path = "a" }', [0.5], 'dataset = { path = "a", weight = 0.5 }'),
        ('dataset = "a" # whole', [1], 'dataset = "a" # whole'),
        ('[trainer.dataset]\npath = "a"', [3], '[trainer.dataset]\npath = "a"\nweight = 3'),
    ],
)
def test_weights_are_written_beside_their_sources(before: str, weights: list[float], after: str) -> None:
    head = '[[trainer]]\nname = "a"\n'
    assert editor.set_weights(head + before, 0, weights) == head + after
    with pytest.raises(EditError):
        editor.set_weights(head + before, 0, [*weights, 2])
