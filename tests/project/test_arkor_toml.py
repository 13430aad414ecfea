"""arkor.toml to trainers: the whole mapping, and one row a mistake with the text that a person reads."""

from __future__ import annotations

import math
import os
import socket
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.project.arkor_toml import choose, load_trainers
from arkor_dev.project.toml.problems import SHOWN_PROBLEMS
from tests.support.own_time import OwnTime

if TYPE_CHECKING:
    from pathlib import Path

ROW = '{"prompt": "a", "completion": "b"}'
SMALL = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = "data.jsonl"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "data.jsonl").write_text(f"{ROW}\n\n  \n{ROW}")
    return root


def write(project: Path, text: str) -> Path:
    (project / "arkor.toml").write_text(text)
    return project


def problem(project: Path, text: str) -> str:
    """What is wrong with the file, or with its first trainer that is."""
    try:
        found = load_trainers(write(project, text))
    except ArkorError as fault:
        return f"{fault.text}" if status_of(fault) == 400 else f"{status_of(fault)}: {fault.text}"
    problems = [trainer["problem"] for trainer in found if "problem" in trainer]
    assert problems, found
    return problems[0]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("compute = 3", "compute = 3 is invalid"),
        ('[compute]\ncluster = "head"', 'compute.cluster = "head" is invalid'),
        ("[compute]\nnodes = 2", "nodes"),
        ('[compute]\nstorage = "mnt/jobs"', 'compute.storage = "mnt/jobs" is invalid'),
        ('[compute]\nstorage = "s3://key:pass@b/x"', 'compute.storage = "s3://…@b/x" is invalid'),
    ],
)
def test_what_is_wrong_with_the_place_of_the_jobs_is_said(project: Path, table: str, said: str) -> None:
    assert said in problem(project, f"{table}\n{SMALL}")


COMPUTE = '[compute]\ncluster = "ray://head:10001"\nstorage = "/mnt/jobs"\n'


def test_the_place_of_the_jobs_is_no_setting_of_a_trainer(project: Path) -> None:
    [trainer] = load_trainers(write(project, f"{COMPUTE}{SMALL}cpus = 4\n"))
    assert not {"cluster", "storage"} & trainer["config"].keys()
    assert trainer["config"]["cpus"] == 4


def test_the_smallest_file(project: Path) -> None:
    assert load_trainers(write(project, SMALL)) == [
        {
            "name": "a",
            "config": {"model": "m", "datasetSource": {"type": "file", "path": "data.jsonl"}},
            "rows": 2,
        }
    ]


def test_every_key_reaches_the_contract(project: Path) -> None:
    text = """
[[trainer]]
name = "full"
model = "owner/model"
dataset = { huggingface = "owner/rows", split = "train", subset = "en" }
epochs = 1.5
learning_rate = 2e-3
batch_size = 4
max_length = 256
warmup_steps = 0
weight_decay = 0.01
scheduler = "cosine"
log_every = 1
eval_every = 10
eval_split = 0.1
save_every = 20
seed = 7
train_on_responses_only = true
optimizer = "sgd"
number_format = "bfloat16"
load_in_4bit = false
gpu_types = ["b", "a"]
dry_run = true

[trainer.lora]
r = 8
alpha = 16

[[trainer]]
name = "steps"
model = "m"
dataset = { url = "https://example.org/rows.jsonl" }
steps = 40
lora = { r = 4 }
"""
    full, steps = load_trainers(write(project, text))
    assert full == {
        "name": "full",
        "config": {
            "model": "owner/model",
            "datasetSource": {"type": "huggingface", "name": "owner/rows", "split": "train", "subset": "en"},
            "numTrainEpochs": 1.5,
            "learningRate": 0.002,
            "batchSize": 4,
            "maxLength": 256,
            "warmupSteps": 0,
            "weightDecay": 0.01,
            "lrSchedulerType": "cosine",
            "loggingSteps": 1,
            "evalSteps": 10,
            "datasetSplit": 0.1,
            "saveSteps": 20,
            "seed": 7,
            "trainOnResponsesOnly": True,
            "optim": "sgd",
            "numberFormat": "bfloat16",
            "loadIn4bit": False,
            "gpuTypes": ["b", "a"],
            "dryRun": True,
            "loraR": 8,
            "loraAlpha": 16,
        },
    }
    assert steps["config"] == {
        "model": "m",
        "datasetSource": {"type": "blob", "url": "https://example.org/rows.jsonl"},
        "maxSteps": 40,
        "loraR": 4,
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "steps = 0",
            "arkor.toml:5: steps = 0 is invalid; expected a whole number from 1 to 10,000,000",
        ),
        ("steps = 40.0", "arkor.toml:5: steps = 40.0 is invalid; expected a whole number"),
        ("steps = true", "arkor.toml:5: steps = true is invalid"),
        ('steps = "40"', 'arkor.toml:5: steps = "40" is invalid'),
        ("epochs = 0", "arkor.toml:5: epochs = 0 is invalid; expected a number above 0"),
        ("epochs = true", "arkor.toml:5: epochs = true is invalid"),
        (
            "learning_rate = nan",
            "arkor.toml:5: learning_rate = NaN is invalid; expected a number above 0",
        ),
        ("learning_rate = inf", "arkor.toml:5: learning_rate = Infinity is invalid"),
        ("learning_rate = 2", "arkor.toml:5: learning_rate = 2 is invalid"),
        ("eval_split = 1", "arkor.toml:5: eval_split = 1 is invalid; expected a fraction of the rows"),
        ("eval_split = -0.1", "arkor.toml:5: eval_split = -0.1 is invalid"),
        (
            "weight_decay = -1",
            "arkor.toml:5: weight_decay = -1 is invalid; expected a number from 0 to 1",
        ),
        (
            'scheduler = "stairs"',
            'scheduler = "stairs" is invalid; expected one of "linear", "cosine"',
        ),
        ("scheduler = []", "arkor.toml:5: scheduler = [] is invalid"),
        ("dry_run = 1", "arkor.toml:5: dry_run = 1 is invalid; expected true or false"),
        ("lora.r = 0", "arkor.toml:5: lora.r = 0 is invalid; expected a whole number from 1 to 1,024"),
        ("lora.alpha = -2", "arkor.toml:5: lora.alpha = -2 is invalid"),
        (
            "lora = 8",
            "arkor.toml:5: lora = 8 is invalid; expected a table, such as { r = 8, alpha = 16 }",
        ),
        ("lora.rank = 8", "arkor.toml:5: unknown key lora.rank. Did you mean r?"),
        ("epoch = 1", "arkor.toml:5: unknown key epoch. Did you mean epochs?"),
        ("learningRate = 1", "arkor.toml:5: unknown key learningRate. Did you mean learning_rate?"),
        ("lr = 1", "arkor.toml:5: unknown key lr. Did you mean learning_rate?"),
        ("eval-every = 1", "arkor.toml:5: unknown key eval-every. Did you mean eval_every?"),
        (
            "zzz = 1",
            "arkor.toml:5: unknown key zzz. Allowed here: name, dataset, eval_dataset, model, steps,",
        ),
        ("steps = 1\nepochs = 1", "arkor.toml:6: steps and epochs are both set"),
        ("num_train_epochs = 1\nmax_steps = 1", "arkor.toml:5: max_steps and num_train_epochs are both set"),
        ("optim = 'x'", 'arkor.toml:5: optim = "x" is invalid; expected one of "adamw",'),
        ("optimizer = 'sgd'\noptim = 'sgd'", "arkor.toml:6: optim means the same as optimizer. Keep one"),
        (
            "warmup_ratio = 0.1\nwarmup_steps = 1",
            "arkor.toml:5: warmup_ratio and warmup_steps are both set. Remove one of the two",
        ),
        (
            "lr_scheduler_kwargs.num_cycles = 3\nlr_scheduler_type = 'cosine'",
            "arkor.toml:5: lr_scheduler_kwargs.num_cycles applies only when lr_scheduler_type is",
        ),
        (
            "adam_epsilon = 1e-6\noptimizer = 'lion'",
            'arkor.toml:5: adam_epsilon applies only when optimizer is "adamw" or "adamw_torch" or',
        ),
        ("[trainers]", "arkor.toml:5: unknown key trainers. Did you mean trainer?"),
        ("x = 1979-05-27", "arkor.toml:5: unknown key x."),
        ("steps = ", "arkor.toml:5: not valid TOML at column 9: Invalid value"),
        ("name = 'b'", "arkor.toml:5: not valid TOML at column 11: Cannot overwrite a value"),
        ("model = 'x'\n" * 3, "arkor.toml:5: not valid TOML"),
        ("x = " + "[" * 5000 + "]" * 5000, "arkor.toml:5: brackets more than 16 deep."),
    ],
)
def test_a_mistake_is_named_with_its_line(project: Path, line: str, said: str) -> None:
    assert said in problem(project, SMALL + line + "\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "arkor.toml:1: there is no [[trainer]]. Add one with name, model and dataset"),
        ("\n\n[trainer]\nname = 'a'", "arkor.toml:3: write [[trainer]] with two brackets"),
        ("trainer = []", "arkor.toml:1: trainer must be one or several [[trainer]] tables"),
        ("trainer = 'a'", "arkor.toml:1: trainer must be one or several [[trainer]] tables"),
        ("trainer = [1]", "arkor.toml:1: trainer must be one or several [[trainer]] tables"),
        ("\n[[trainer]]\n", "arkor.toml:2: this [[trainer]] has no model. Add model = "),
        ("[[trainer]]\nname = ''", 'arkor.toml:2: name = "" is invalid; expected one line of text'),
        ("[[trainer]]\nname = 'a\\u0007'".replace("'", '"'), "arkor.toml:2: name = "),
        ("[[trainer]]\nname = 3", "arkor.toml:2: name = 3 is invalid"),
        ("[[trainer]]\nmodel = ' '", 'arkor.toml:2: model = " " is invalid'),
        (SMALL + SMALL, 'arkor.toml:6: a trainer called "a" is on line 2 already. Names must be unique'),
    ],
)
def test_a_wrong_shape_is_named_with_its_line(project: Path, text: str, said: str) -> None:
    assert said in problem(project, text)


def test_a_folder_that_is_a_link_out_of_the_project_is_outside(project: Path) -> None:
    disk = project.parent / "disk"
    disk.mkdir()
    (disk / "chats.jsonl").write_text('{"prompt": "a", "completion": "b"}\n' * 3)
    (project / "data").symlink_to(disk)
    text = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = "data/chats.jsonl"\n'
    (project / "arkor.toml").write_text(text)
    (trainer,) = load_trainers(project)
    assert '"data/chats.jsonl" is outside the project.' in trainer["problem"]


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ('"gone.jsonl"', 'arkor.toml:4: dataset: "gone.jsonl" is not in the project. Create it'),
        ('"owner/rows"', 'dataset = { huggingface = "owner/rows" }'),
        ('"empty"', 'arkor.toml:4: dataset: "empty" is a folder without data files (jsonl, '),
        ('"../secret.jsonl"', 'arkor.toml:4: dataset: "../secret.jsonl" is outside the project.'),
        ('"link.jsonl"', 'arkor.toml:4: dataset: "link.jsonl" is outside the project.'),
        ('"/etc/passwd"', 'arkor.toml:4: dataset: "/etc/passwd" is outside the project.'),
        ('"loop.jsonl"', 'arkor.toml:4: dataset: "loop.jsonl" is a symlink that leads back to itself.'),
        ('"https://example.org/x"', 'dataset = { url = "https://example.org/x" }'),
        ('"a\\u0000b"', "arkor.toml:4: dataset: must be a path on one line"),
        ('""', "arkor.toml:4: dataset: must be a path on one line"),
        ("3", "arkor.toml:4: dataset: must be a path, a table such as"),
        ("[]", "arkor.toml:4: dataset: must be a path, a table such as"),
        ('[["data.jsonl"]]', "arkor.toml:4: dataset: is a list inside a list"),
        ('["data.jsonl", "gone.jsonl"]', 'arkor.toml:4: dataset: "gone.jsonl" is not in the project'),
        (
            '["data.jsonl", { urk = "https://x" }]',
            "arkor.toml:4: unknown key dataset.1.urk. Did you mean url?",
        ),
        ("{}", "arkor.toml:4: dataset: needs one of path"),
        ('{ huggingface = "a/b", url = "https://x" }', "arkor.toml:4: dataset: needs one of path"),
        ('{ path = "data.jsonl", split = "a" }', "split applies to huggingface, not to path"),
        ('{ path = "data.jsonl", only = "x" }', "arkor.toml:4: dataset.only: must be one of accepted, all"),
        ('{ path = "data.jsonl", form = "x" }', "arkor.toml:4: dataset.form: must be one of chat, sharegpt"),
        ('{ path = "data.jsonl", columns = {} }', "arkor.toml:4: dataset.columns: must be a table such as"),
        (
            '{ path = "data.jsonl", columns = { question = "prompt" } }',
            "arkor.toml:4: dataset.columns: maps 'question', which no row has",
        ),
        ('{ path = "data.jsonl", columns = { prompt = 0 } }', "must give prompt the name of a column"),
        ('{ path = "data.jsonl", group = 3 }', "arkor.toml:4: dataset.group: must be text on one line"),
        ('{ url = "https://x", split = "a" }', "arkor.toml:4: dataset.split: split applies to huggingface"),
        ('{ url = "ftp://x" }', "arkor.toml:4: dataset.url: must begin with https://"),
        ("{ huggingface = 3 }", "arkor.toml:4: dataset.huggingface: must be text on one line"),
        ('{ hugginface = "a/b" }', "unknown key dataset.hugginface. Did you mean huggingface?"),
        ('{ path = "data.jsonl", weight = -1 }', "dataset.weight: must be a number from 0 to 100: how often"),
        ('{ path = "data.jsonl", weight = nan }', "dataset.weight: must be a number from 0 to 100"),
        ('{ path = "data.jsonl", weight = inf }', "dataset.weight: must be a number from 0 to 100"),
        ('{ path = "data.jsonl", weight = true }', "dataset.weight: must be a number from 0 to 100"),
        ('{ path = "data.jsonl", weight = "2" }', "dataset.weight: must be a number from 0 to 100"),
        (
            '{ path = "data.jsonl", weight = 0 }',
            "has weight 0 for every source, so no row is left to train on",
        ),
        ('[{ path = "gone.jsonl", weight = 2 }]', 'dataset: "gone.jsonl" is not in the project'),
        ('["data.jsonl", { path = "./data.jsonl" }]', '"data.jsonl" is in the list twice, and rows that are'),
    ],
)
def test_a_dataset_that_cannot_be_used(project: Path, dataset: str, said: str) -> None:
    (project.parent / "secret.jsonl").write_text("{}\n")
    (project / "link.jsonl").symlink_to(project.parent / "secret.jsonl")
    (project / "loop.jsonl").symlink_to("loop.jsonl")
    (project / "empty").mkdir()
    text = f'[[trainer]]\nname = "a"\nmodel = "m"\ndataset = {dataset}\n'
    assert said in problem(project, text)


def test_sources_have_weights(project: Path) -> None:
    (project / "more.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    text = SMALL.replace('"data.jsonl"', '["data.jsonl", { path = "more.jsonl", weight = 0.5 }]')
    (project / "arkor.toml").write_text(text)
    (trainer,) = load_trainers(project)
    source = trainer["config"]["datasetSource"]
    assert [part.get("weight") for part in source["sources"]] == [None, 0.5]
    weighted_rows = text + 'eval_dataset = { path = "more.jsonl", weight = 2 }\n'
    assert "eval_dataset.weight: applies to dataset only" in problem(project, weighted_rows)


def test_a_column_of_groups_is_looked_for(project: Path) -> None:
    text = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = { path = "data.jsonl", group = "book" }\n'
    (project / "arkor.toml").write_text(text)
    (trainer,) = load_trainers(project)
    assert trainer["config"]["datasetSource"]["group"] == "book"
    assert "line 1: has no column 'book' for group; it has " in trainer["problem"]


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(project: Path) -> None:
    lines = problem(project, SMALL + "lora.r = 0\nsteps = 0\nzzz = 1\n").splitlines()
    assert [line.split(":")[1] for line in lines] == ["5", "6", "7"]


def test_a_flood_of_mistakes_is_cut(project: Path) -> None:
    lines = problem(project, SMALL + "".join(f"z{n} = 1\n" for n in range(100))).splitlines()
    assert len(lines) == SHOWN_PROBLEMS + 1
    assert lines[-1] == "… and 92 more"


def test_a_long_value_is_not_repeated_in_full(project: Path) -> None:
    assert len(problem(project, SMALL + f'steps = "{"x" * 10_000}"')) < 200


def test_a_file_that_is_not_utf8(project: Path) -> None:
    (project / "arkor.toml").write_bytes(SMALL.encode() + b"# caf\xe9\n")
    with pytest.raises(ArkorError, match=r"arkor.toml:5: this line is not UTF-8"):
        load_trainers(project)


def test_a_folder_in_place_of_the_file(project: Path) -> None:
    (project / "arkor.toml").mkdir()
    with pytest.raises(ArkorError, match=r"arkor.toml cannot be read \(Is a directory\)"):
        load_trainers(project)


def test_an_absolute_path_inside_the_project_becomes_relative(project: Path) -> None:
    (project / "data").mkdir()
    (project / "data" / "x.jsonl").write_text(f"{ROW}\n")
    inside = project / "data" / "x.jsonl"
    (trainer,) = load_trainers(write(project, SMALL.replace("data.jsonl", str(inside))))
    assert trainer["config"]["datasetSource"] == {"type": "file", "path": "data/x.jsonl"}


def test_rows_are_counted_again_when_the_file_changes(project: Path) -> None:
    write(project, SMALL)
    assert load_trainers(project)[0]["rows"] == 2
    data = project / "data.jsonl"
    data.write_text(f"{ROW}\n" * 5)
    os.utime(data, ns=(1, 1))
    assert load_trainers(project)[0]["rows"] == 5


def test_rows_of_an_unchanged_file_are_not_read_again(project: Path) -> None:
    write(project, SMALL)
    data = project / "data.jsonl"
    before = data.stat()
    assert load_trainers(project)[0]["rows"] == 2
    data.write_bytes(b"\n" * before.st_size)
    os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_trainers(project)[0]["rows"] == 2


def test_rows_of_a_huge_file_are_left_out(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arkor_dev.project.dataset_source.COUNTED_BYTES", 4)
    assert "rows" not in load_trainers(write(project, SMALL))[0]


def test_choosing(project: Path) -> None:
    both = load_trainers(write(project, SMALL + SMALL.replace('"a"', '"Second-One"')))
    assert choose(both, None)["name"] == "a"
    assert choose(both, "Second-One")["name"] == "Second-One"
    with pytest.raises(ArkorError, match=r'no trainer "second_one". Did you mean Second-One\?'):
        choose(both, "second_one")
    with pytest.raises(ArkorError, match=r'no trainer "zzz". It has: a, Second-One'):
        choose(both, "zzz")
    lengthy = load_trainers(write(project, SMALL + SMALL.replace('"a"', f'"{"x" * 81}"')))
    with pytest.raises(ArkorError, match=r"It has: a, \(trainer 2\) arkor.toml:\d+: .*80"):
        choose(lengthy, "x" * 81)


def long(project: Path, text: str) -> str:
    """The whole of what is said of a text that would cost memory and time; it must cost neither.

    The best of three tries counts: the machine, or its disk, may stand still in one.
    """
    took: list[float] = []
    while len(took) < 3 and min(took, default=math.inf) >= 2.5:
        own = OwnTime()
        said = problem(project, text)
        took.append(own.seconds)
    assert min(took) < 2.5
    assert len(said) < 3000
    return said


BOMBS = {
    "a key of 25,000 parts": (
        SMALL + ".".join(["a"] * 25_000) + " = 1\n",
        "arkor.toml:5: a key of more than 16 parts. No trainer needs that; shorten it",
    ),
    "a header of 25,000 parts": (
        SMALL + "[" + " . ".join(["'a'"] * 25_000) + "]\n",
        "arkor.toml:5: a key of more than 16 parts.",
    ),
    "80,000 keys": (
        "".join(f"[a{n}]\n" for n in range(5)) + "k = 1\n" * 40_000,
        "arkor.toml:5001: more than 5,000 keys and values.",
    ),
    "all the keys that are allowed": (
        SMALL + "".join(f"kkkkkkkkkkkkkkkkkkkkkkkkk{n} = 1\n" for n in range(4_900)),
        "arkor.toml:5: unknown key kkkkkkkkkkkkkkkkkkkkkkkkk0. Allowed here",
    ),
    "an array of 80,000": (SMALL + "x = [" + "1," * 80_000 + "]\n", "arkor.toml:5: more than 5,000"),
    "300 trainers": (SMALL * 300, "arkor.toml:801: more than 200 trainers. Put some into another project"),
    "a rate of 400 digits": (
        SMALL + "learning_rate = 1" + "0" * 399 + "\n",
        "arkor.toml:5: a number or key of more than 100 characters.",
    ),
    "a rate of 90 digits": (
        SMALL + "learning_rate = 1" + "0" * 89 + "\n",
        "arkor.toml:5: learning_rate = 1000",
    ),
    "steps of 5,000 digits": (
        SMALL + "steps = 1" + "0" * 4999 + "\n",
        "arkor.toml:5: a number or key of more than 100 characters.",
    ),
    "a data set of 300 characters": (
        SMALL.replace("data.jsonl", "x" * 300),
        'arkor.toml:4: dataset: "' + "x" * 79 + '…" cannot be read (File name too long). Correct the path',
    ),
    "a data set of 2,000 characters": (
        SMALL.replace("data.jsonl", "x" * 2000),
        "arkor.toml:4: dataset: must be a path on one line",
    ),
    "a key of 200,000 characters": (
        SMALL + "'" + "k" * 200_000 + "' = 1\n",
        "arkor.toml:5: unknown key kkkk",
    ),
    "a key that moves the cursor": (
        SMALL + '"\\u001b[2J" = 1\n',
        'arkor.toml:5: unknown key "\\u001b[2J". Allowed here',
    ),
    "NUL": (SMALL + 'x = "\0"\n', "arkor.toml:5: not valid TOML at column 6: Illegal character"),
    "half a character": (SMALL + 'x = "\\ud800"\n', "arkor.toml:5: not valid TOML at column"),
    "brackets": (SMALL + "x = " + "[" * 100_000, "arkor.toml:5: brackets more than 16 deep."),
    "braces": (SMALL + "x = " + "{a=" * 40_000, "arkor.toml:5: brackets more than 16 deep."),
    "a text without an end": (SMALL + 'x = """' + "a'\n\\" * 40_000, "arkor.toml:6: not valid TOML"),
    "quotes": (SMALL + "x = " + "'\"" * 100_000, "arkor.toml:5: not valid TOML"),
    "backslashes": (SMALL + 'x = "' + "\\" * 100_001, "arkor.toml:5: not valid TOML"),
    "a long comment": (SMALL + "steps = 0 #" + "[.=" * 60_000, "arkor.toml:5: steps = 0 is invalid"),
}


@pytest.mark.parametrize(("text", "said"), BOMBS.values(), ids=BOMBS)
def test_a_file_that_would_cost_the_machine_is_refused_by_line(project: Path, text: str, said: str) -> None:
    assert long(project, text).startswith(said)


def test_a_file_past_the_size(project: Path) -> None:
    assert long(project, SMALL + "#" * 300_000) == (
        "arkor.toml cannot be read (larger than 256 KiB). Check that it is a file you may read"
    )


def test_half_a_character_as_bytes(project: Path) -> None:
    (project / "arkor.toml").write_bytes(SMALL.encode() + b'x = "\xed\xa0\x80"\n')
    with pytest.raises(ArkorError, match=r"arkor.toml:5: this line is not UTF-8"):
        load_trainers(project)


def test_texts_that_look_like_bombs_are_none(project: Path) -> None:
    model = "[=.," * 60
    text = f"# {'[.=,' * 10_000}\n" + SMALL.replace('"m"', f'"{model}"') + f"x = '''{'a.b=[' * 20_000}'''\n"
    assert problem(project, text).startswith("arkor.toml:6: unknown key x.")
    many = "".join(SMALL.replace('"a"', f'"a{n}"') for n in range(200))
    assert len(load_trainers(write(project, many))) == 200


def test_the_right_trainers_stay_beside_the_wrong(project: Path) -> None:
    text = SMALL + SMALL.replace('"a"', '"b"') + "steps = 0\nzzz = 1\n" + SMALL + "[[trainer]]\n"
    right, wrong, second, nameless = load_trainers(write(project, text))
    assert (right["name"], "problem" in right) == ("a", False)
    assert (wrong["name"], wrong["problem"].splitlines()[0]) == (
        "b",
        "arkor.toml:9: steps = 0 is invalid; expected a whole number from 1 to 10,000,000",
    )
    assert len(wrong["problem"].splitlines()) == 2
    assert (second["name"], second["problem"]) == (
        "a (line 12)",
        'arkor.toml:12: a trainer called "a" is on line 2 already. Names must be unique',
    )
    assert nameless["name"] == "(trainer 4)"
    assert nameless["problem"].startswith("arkor.toml:15: this [[trainer]] has no name.")
    assert all("config" not in trainer for trainer in (wrong, second, nameless))
    assert choose([right, wrong], None) is right
    with pytest.raises(ArkorError, match=r"^arkor.toml:9: steps = 0") as caught:
        choose([right, wrong], "b")
    assert status_of(caught.value) == 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "data.jsonl is empty: write one JSON object per line"),
        (b"\n \n", "data.jsonl is empty: write one JSON object per line"),
        (ROW.encode() + b"\n\nnonsense\n", "data.jsonl, line 3: not JSON (Expecting value at column 1)"),
        (
            ROW.encode() + b'\n{"prompt": 1, "completion": "b"}',
            "data.jsonl, line 2: prompt must be text, not int",
        ),
        (b'{"question": "a"}', "data.jsonl, line 1: has the keys question; expected messages, or "),
        (b"{\xff\xfe", "data.jsonl, line 1: not UTF-8"),
        (b"[" * 100_000, "data.jsonl: not JSON: a bracket is never closed"),
        (b"{" + b" " * 5_000_000, "data.jsonl, line 1: longer than 4 MiB"),
    ],
)
def test_the_first_fault_of_the_data_is_told_beside_the_trainer(
    project: Path, content: bytes, said: str
) -> None:
    (project / "data.jsonl").write_bytes(content)
    (trainer,) = load_trainers(write(project, SMALL))
    # Without a row that can be read it cannot be run; of some that are wrong the person is asked.
    kind = "flaw" if content.startswith(ROW.encode()) else "problem"
    none = "The only row cannot be trained on. " if said.startswith("data.jsonl, line 1:") else ""
    assert trainer[kind].startswith(none + said)  # type: ignore[literal-required]
    assert ("problem" in trainer, "flaw" in trainer) == (kind == "problem", kind == "flaw")
    assert trainer["config"]["model"] == "m"
    lines = sum(1 for line in content.split(b"\n") if line.strip())
    assert trainer["rows"] == (1 if kind == "flaw" else 0)
    assert trainer.get("unreadable", 0) == (0 if content.startswith(b"[") else lines - trainer["rows"])
    (project / "data.jsonl").write_text(f"{ROW}\n")
    assert not load_trainers(project)[0].keys() & {"problem", "flaw"}


def test_a_table_without_rows_says_what_to_write(project: Path) -> None:
    (project / "data.csv").write_text("prompt,completion\n")
    (trainer,) = load_trainers(write(project, SMALL.replace("data.jsonl", "data.csv")))
    assert trainer["problem"].startswith("data.csv has no rows: write one per line below the names")


def test_a_row_that_is_to_be_left_out_is_no_flaw(project: Path) -> None:
    (project / "data.jsonl").write_text(f"{ROW}\nnonsense\n")
    assert "flaw" in load_trainers(write(project, SMALL))[0]
    assert "flaw" not in load_trainers(write(project, SMALL + "skip_bad_rows = true\n"))[0]


def test_a_look_at_the_data_is_bounded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arkor_dev.project.dataset_source.CHECKED_BYTES", 1000)
    (project / "data.jsonl").write_text(f"{ROW}\n" * 100 + "nonsense\n")
    (trainer,) = load_trainers(write(project, SMALL))
    assert ("flaw" in trainer, trainer["rows"]) == (False, 101)
    monkeypatch.setattr("arkor_dev.project.dataset_source.SECONDS", -1)
    (project / "data.jsonl").write_text("nonsense\n")
    assert not {"flaw", "rows"} & load_trainers(project)[0].keys()  # a row may take seconds


def test_a_parquet_file_is_left_to_the_job_without_its_library(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (project / "data.jsonl").write_bytes(b"PAR1 and more")
    (trainer,) = load_trainers(write(project, SMALL))
    assert trainer.keys() == {"name", "config"}
    # A job on this machine would fail: it says so before, with the command that installs the library.
    (trainer,) = load_trainers(project, here=True)
    assert "is a Parquet file" in trainer["problem"]
    assert trainer["install"].endswith("'pyarrow>=15'")


@pytest.mark.parametrize("kind", ["fifo", "device", "socket"])
def test_data_that_is_no_file(project: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / "data.jsonl").unlink()
    if kind == "fifo":
        os.mkfifo("data.jsonl")
    elif kind == "device":
        try:
            os.mknod("data.jsonl", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("only root makes devices")
    else:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("data.jsonl")
    assert problem(project, SMALL) == (
        'arkor.toml:4: dataset: "data.jsonl" is not a regular file. Name a JSONL file with one row per line'
    )
