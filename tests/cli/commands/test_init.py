"""``arkor-dev init`` writes a project that its own reader accepts, and never over something."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from arkor_dev.cli.commands.init import run_init
from arkor_dev.contract.errors import ArkorError
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.local.evaluation.minimums import ROWS
from arkor_dev.local.sweeps.held_out import held_out
from arkor_dev.project.arkor_toml import load_trainers
from arkor_dev.project.starter import TEMPLATE, initialize, project_files
from arkor_dev.project.starter_toml import VALUES, starter_toml
from arkor_dev.project.starter_typescript import TYPESCRIPT, starter_typescript
from arkor_dev.project.typescript import TypeScriptProject as BuiltProject

if TYPE_CHECKING:
    from tests.support.typescript_projects import TypeScriptProject

EXAMPLE = Path(__file__).parents[3] / "examples" / "support-bot"
FILES = ["arkor.toml", "data/chats.jsonl"]


def console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=40), out


def test_init_creates_a_complete_project(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "bot"
    assert [file.as_posix() for file in initialize(folder)] == FILES
    (trainer,) = load_trainers(folder)
    assert trainer["rows"] == 102
    assert trainer["config"]["datasetSource"] == {"type": "file", "path": "data/chats.jsonl"}
    assert {"maxSteps", "evalSteps", "saveSteps", "loraR"} <= trainer["config"].keys()


USUAL = [setting for setting in SETTINGS if setting.group == "usual" or setting.key in VALUES]


def test_the_starter_trains_as_the_example_does(tmp_path: Path) -> None:
    (starter,) = load_trainers(_initialized(tmp_path))
    example = load_trainers(EXAMPLE)[0]
    assert starter["config"] == example["config"]


def _initialized(folder: Path) -> Path:
    initialize(folder)
    return folder


def test_the_starter_file_documents_the_usual_settings() -> None:
    text = starter_toml()
    for setting in USUAL:
        said, line = re.findall(rf"(?m)((?:^# .+\n)+)((?:# )?{setting.name} = .+)$", text)[0]
        assert setting.help in said.replace("\n# ", " "), setting.key
        assert line.startswith("# ") == (setting.key not in VALUES)
    assert set(VALUES) <= {setting.key for setting in USUAL}
    written = re.findall(r"(?m)^(?:# )?([a-z_0-9]+) = ", text)
    assert set(written) == {"name", "dataset", "eval_dataset", *(setting.name for setting in USUAL)}
    assert max(map(len, text.splitlines())) <= 110


def test_commented_out_settings_are_valid(tmp_path: Path) -> None:
    initialize(tmp_path)
    text = (tmp_path / "arkor.toml").read_text()
    switched_on = re.sub(r"(?m)^# (?=(?!dataset|eval_dataset|epochs)[a-z_0-9]+ = )", "", text)
    (tmp_path / "arkor.toml").write_text(switched_on)
    (trainer,) = load_trainers(tmp_path)
    fields = {setting.field for setting in USUAL if setting.key != "epochs"}
    assert trainer["config"].keys() == {*fields, "datasetSource"}


def test_the_starter_data_is_that_of_the_example() -> None:
    chats = (TEMPLATE / "data" / "chats.jsonl").read_bytes()
    assert chats == (EXAMPLE / "data" / "chats.jsonl").read_bytes()
    for folder in (TEMPLATE, EXAMPLE):
        config: Any = {
            "model": "tiny",
            "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
            "datasetSplit": VALUES["eval_split"],
        }
        found = held_out(config, folder)
        assert found
        assert found["groups"] >= 2 * ROWS, "half of the held-out rows choose, half judge"


@pytest.mark.parametrize("there", FILES)
def test_init_overwrites_no_file(tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine")
    with pytest.raises(ArkorError, match=f"{re.escape(there)} is in .* already. Nothing was written"):
        initialize(tmp_path)
    assert (tmp_path / there).read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / there]


def test_init_does_not_replace_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArkorError, match=r"arkor.toml is in"):
        initialize(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_init_names_all_existing_files(tmp_path: Path) -> None:
    initialize(tmp_path)
    with pytest.raises(ArkorError, match=r"arkor.toml and data/chats.jsonl are in"):
        initialize(tmp_path)


@pytest.mark.parametrize("there", ["src/arkor/index.ts", "package.json"])
def test_init_refuses_a_typescript_project(tmp_path: Path, there: str) -> None:
    """An arkor.toml would be used in place of what the person has written."""
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text('{"dependencies": {"arkor": "1"}}')
    with pytest.raises(ArkorError, match="is a TypeScript project") as refused:
        initialize(tmp_path)
    assert there in refused.value.text
    assert "Nothing was written" in refused.value.text
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / there]


def test_a_package_without_arkor_is_not_a_typescript_project(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"other": "1"}}')
    assert len(initialize(tmp_path)) == len(FILES)


def test_a_failed_init_leaves_no_files(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(ArkorError, match=r"data cannot be written"):
        initialize(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("template", TYPESCRIPT)
def test_a_template_creates_a_typescript_project(tmp_path: Path, template: str) -> None:
    folder = tmp_path / "Mein Bot"
    written = [file.as_posix() for file in initialize(folder, template)]
    assert written == ["package.json", "src/arkor/index.ts", "src/arkor/trainer.ts", ".gitignore"]
    package = json.loads((folder / "package.json").read_text())
    assert package["name"] == "mein-bot"
    assert "arkor" not in str(package.get("devDependencies")), "whoever took the name on npm's registry"
    assert f"arkorlab/{template}-demo" in (folder / "src" / "arkor" / "trainer.ts").read_text()
    with pytest.raises(ArkorError, match=r"src/arkor/index.ts is there. Nothing was written"):
        initialize(folder, template)


def test_a_template_overwrites_no_file(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine")
    (tmp_path / "arkor.toml").touch()
    with pytest.raises(ArkorError, match=r"arkor.toml is in .* Studio would use it in place of"):
        initialize(tmp_path, "triage")
    (tmp_path / "arkor.toml").unlink()
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(ArkorError, match=r"package.json is in .* already"):
        initialize(tmp_path, "triage")
    (tmp_path / "package.json").unlink()
    assert len(initialize(tmp_path, "triage")) == 3
    assert (tmp_path / ".gitignore").read_text() == "mine"


async def test_a_template_builds_and_names_its_trainer(typescript_project: TypeScriptProject) -> None:
    (typescript_project.path / "package.json").unlink()
    for file, content in starter_typescript("redaction", "bot").items():
        typescript_project.write(content.decode(), str(file))
    assert (await BuiltProject(typescript_project.path).read())["trainer"] == {"name": "redaction"}


def test_init_lists_files_and_next_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printer, out = console()
    assert run_init(tmp_path / "a [b]", printer) == 0
    said = out.getvalue()
    for file in project_files():
        assert f"wrote {tmp_path / 'a [b]' / file}\n" in said
    assert f"arkor-dev start --local --project '{tmp_path / 'a [b]'}'\n" in said
    printer, out = console()
    assert run_init(tmp_path, printer) == 0
    assert out.getvalue().endswith("arkor-dev start --local\n")
    printer, out = console()
    assert run_init(tmp_path / "ts", printer, template="triage") == 0
    assert out.getvalue().startswith(
        "A TypeScript project needs the package arkor, and npm's registry does not"
    )
    assert f"npm install --save-dev --prefix {tmp_path / 'ts'} FILE.tgz\n" in out.getvalue()
    assert out.getvalue().endswith(f"arkor-dev start --project {tmp_path / 'ts'}\n")
