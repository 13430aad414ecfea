"""``arkor-dev data check``: the findings in the terminal and as JSON, and the exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from arkor_dev.cli.main import main
from arkor_dev.data.exclusions import row_hash
from arkor_dev.project.data_check import check_path
from arkor_dev.project.reviews import add_reviews

if TYPE_CHECKING:
    from pathlib import Path

WORDS: dict[str, Any] = {"a": "accepted", "r": "rejected"}

GOOD = '{"prompt": "a", "completion": "b"}\n'
TABLE = '[[trainer]]\nname = "one"\nmodel = "m"\ndataset = "d.jsonl"\n'
SECOND = (
    '[[trainer]]\nname = "two"\nmodel = "m"\n'
    'dataset = [{ path = "q.csv", columns = { prompt = "Q", completion = "A" } }, { huggingface = "o/n" }]\n'
    'eval_dataset = "d.jsonl"\n'
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arkor.toml").write_text(TABLE + SECOND)
    (tmp_path / "d.jsonl").write_text(GOOD)
    (tmp_path / "q.csv").write_text("Q,A\nwhy,because of that\nA,b\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["data", *arguments])
    said = capsys.readouterr()
    return code, said.out or said.err


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code, said = run(capsys, "check", "--json", *arguments)
    assert said.count("\n") == 1
    return code, json.loads(said)


def test_data_check_uses_the_first_trainer(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "check")
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == "d.jsonl: prompt and completion, JSON Lines"
    assert lines[2:4] == ["1 row: nothing found.", "Not checked:"]
    assert lines[4].startswith("  Checks that need the model's tokenizer: ")


def test_data_check_uses_a_trainers_columns_and_evaluation_set(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = report(capsys, "--trainer", "two")
    assert code == 0
    assert found["files"] == [{"name": "q.csv", "words": "prompt and completion, CSV"}]
    assert found["rows"] == 2
    assert [(each["code"], each["rows"][0]["where"]) for each in found["findings"]] == [
        ("in-eval", "q.csv, line 3")
    ]
    assert found["leftOut"][0] == "o/n: it is remote, and only files are checked."
    assert report(capsys, "--trainer", "two", "--strict")[0] == 1


def test_an_error_is_shown_with_its_rows_and_ends_with_1(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "d.jsonl").write_text(GOOD + "\x1b]0;x\x07nonsense\n" * 9)
    code, said = run(capsys, "check")
    assert code == 1
    assert "✗ 9 rows are not JSON (error)\n  Training stops with an error at the first of them.\n" in said
    assert "    d.jsonl, line 2: not JSON (Expecting value at column 1)\n" in said
    assert "    … and 4 more\n" in said
    assert "10 rows: 1 error.\n" in said
    assert "\x1b" not in said


def test_a_file_or_folder_anywhere(
    project: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "a.jsonl").write_text("x\n")
    (other / "b.jsonl").write_text(GOOD)
    code, found = report(capsys, str(other / "b.jsonl"))
    assert (code, found["files"][0]["name"]) == (0, str(other / "b.jsonl"))
    code, found = report(capsys, str(other))
    assert code == 1
    assert [file["name"].rpartition("/")[2] for file in found["files"]] == ["a.jsonl", "b.jsonl"]
    assert found["findings"][0]["rows"][0]["where"].endswith("/a.jsonl, line 1")


def test_data_check_says_that_an_environment_lengthens_prompts(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acting = TABLE + 'method = "grpo"\nenvironment = "env:Desk"\n'
    (project / "arkor.toml").write_text(acting)
    assert report(capsys)[1]["leftOut"][0] == (
        "The tools of env:Desk: training adds them to each prompt, so prompts are longer there than they are "
        "shown and counted."
    )
    (project / "arkor.toml").write_text(TABLE)
    assert not any("tools" in sentence for sentence in report(capsys)[1]["leftOut"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "data needs a subcommand. Run arkor-dev data check [FILE], data fix or data reviews."),
        (["chek"], "unknown subcommand chek. Run arkor-dev data check [FILE], data fix or data reviews."),
        (["check", "gone.csv"], '"gone.csv" is not in '),
        (["check", "--trainer", "three"], 'arkor.toml has no trainer "three". It has: one, two'),
        (["check", "d.jsonl", "--trainer", "one"], "Give either FILE or --trainer, not both."),
        (["check", "--seconds", "x"], "x isn't a valid number of seconds"),
        (["check", "--strct"], "unknown option --strct for data. Did you mean --strict?"),
    ],
)
def test_wrong_usage_ends_with_2(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, text = run(capsys, *arguments)
    assert code == 2
    assert said in text


def test_a_table_that_is_wrong_and_a_file_that_is_gone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "d.jsonl").unlink()
    code, said = run(capsys, "check")
    assert code == 2
    assert 'arkor.toml:4: dataset: "d.jsonl" is not in the project.' in said


def test_data_check_shows_progress_on_a_terminal(project: Path) -> None:
    from arkor_dev.cli.commands.data import run_data
    from arkor_dev.core.settings import Settings

    (project / "d.jsonl").write_text(GOOD * 1000)
    seen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    settings = Settings.from_environment({"HOME": str(project)}, project)
    assert run_data(settings, "check", None, console=seen) == 0
    assert "Checking" in seen.file.getvalue()  # type: ignore[attr-defined]
    assert check_path(project / "d.jsonl", lambda *_: None, 0)["rows"] == 1


def test_data_check_imports_no_training_library(project: Path) -> None:
    code = (
        "import sys; from arkor_dev.cli.main import main; main(['data', 'check']); "
        "print(sorted({'torch', 'transformers', 'numpy', 'pyarrow', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_data_reviews_counts_reviews_and_agreement(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "reviews")
    assert (code, said) == (0, "one, 1 row: 0 accepted, 0 rejected, 0 flagged, 1 unseen.\n")
    texts = [f'{{"text": "{n}"}}' for n in range(6)]
    (project / "d.jsonl").write_text("\n".join(texts))
    add_reviews(
        project,
        [
            {"row": f"{row_hash(text.encode()):016x}", "verdict": verdict, "by": by, "tags": ["tone\x1b[31m"]}
            for by, verdicts in (("Ann", "aaarrr"), ("Bo", "aarrrr"))
            for text, verdict in zip(texts, (WORDS[each] for each in verdicts), strict=True)
        ],
    )
    code, said = run(capsys, "reviews", "--trainer", "one")
    lines = said.splitlines()
    assert lines[0] == "one, 6 rows: 2 accepted, 4 rejected, 0 flagged, 0 unseen."
    assert lines[1:4] == ["People disagree on 1 row.", "Tags: tone 6", "People: Ann 6, Bo 6"]
    assert lines[4].startswith("Agreement of Ann and Bo: 5 of 6 rows, kappa 0.67 (95 % ")
    assert json.loads(run(capsys, "reviews", "--json")[1])["disputed"] == 1
    assert run(capsys, "reviews", "d.jsonl")[0] == 2
