"""Which command trains a project, and that no name from the page can be more than a file's name."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.project.training_command import NO_COMMAND, inside, training_command
from tests.support.processes import script

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

TOML = '[[trainer]]\nname = "first"\nmodel = "m"\ndataset = { huggingface = "a/b" }\n'


@pytest.fixture
def nothing_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH of one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def arkor(settings: Settings) -> Path:
    """The project's own TypeScript command."""
    return script(settings.project / "node_modules" / ".bin" / "arkor", "")


def test_an_arkor_toml_project_runs_arkor_dev_start(settings: Settings, arkor: Path) -> None:
    (settings.project / "arkor.toml").write_text(TOML + TOML.replace("first", "second"))
    launch = training_command(settings, {})
    assert launch.argv == [
        sys.executable, "-P", "-m", "arkor_dev", "start",
        "--project", str(settings.project), "--managed", "--trainer=first",
    ]  # fmt: skip
    assert (launch.trainer, launch.file, launch.dry_run) == ("first", None, False)
    launch = training_command(settings, {"trainer": "second", "dryRun": True})
    assert launch.argv[-2:] == ["--trainer=second", "--dry-run"]
    assert launch.dry_run
    assert "--revision=r1" in training_command(settings, {"revision": "r1"}).argv
    assert "--local" in training_command(replace(settings, local=True), {}).argv


def test_a_runs_cluster_overrides_that_of_the_launch(settings: Settings, arkor: Path) -> None:
    (settings.project / "arkor.toml").write_text(TOML)
    launch = replace(settings, cluster="ray://head:10001", insecure_cluster=True)
    assert {"--on=ray://head:10001", "--insecure-cluster"} <= set(training_command(launch, {}).argv)
    assert "--on=here" in training_command(launch, {"on": "here"}).argv


def test_settings_of_one_run_are_no_arguments(settings: Settings, arkor: Path) -> None:
    (settings.project / "arkor.toml").write_text(TOML)
    changes = {
        "model": "--x 'y' $(z)\\",
        "loraR": 16,
        "learningRate": 0.0002,
        "loadIn4bit": False,
        "maxSteps": None,
    }
    launch = training_command(settings, {"settings": changes})
    assert launch.argv == training_command(settings, {}).argv
    assert launch.changes == changes
    with pytest.raises(ArkorError, match="applies only when scheduler is"):
        training_command(settings, {"settings": {"lrPower": 2}})
    (settings.project / "arkor.toml").unlink()
    with pytest.raises(ArkorError, match="Only settings of"):
        training_command(settings, {"settings": changes})


def test_local_training_needs_arkor_toml(settings: Settings, arkor: Path) -> None:
    with pytest.raises(ArkorError, match=r"arkor\.toml") as refused:
        training_command(replace(settings, local=True), {})
    assert status_of(refused.value) == 400


def test_a_trainer_named_like_an_option_is_passed_as_a_value(settings: Settings) -> None:
    (settings.project / "arkor.toml").write_text(TOML.replace("first", "--local"))
    assert training_command(settings, {"trainer": "--local"}).argv[-1] == "--trainer=--local"


def test_an_unknown_trainer_is_refused_with_the_known_ones(settings: Settings) -> None:
    (settings.project / "arkor.toml").write_text(TOML)
    with pytest.raises(ArkorError, match=r'no trainer "x"\. It has: first') as fault:
        training_command(settings, {"trainer": "x"})
    assert status_of(fault.value) == 400


def test_an_invalid_arkor_toml_names_the_line(settings: Settings) -> None:
    (settings.project / "arkor.toml").write_text(TOML + "steps = 0")
    with pytest.raises(ArkorError, match=r"arkor\.toml:5") as fault:
        training_command(settings, {})
    assert status_of(fault.value) == 400


def test_the_projects_own_arkor_command_is_preferred(
    settings: Settings, arkor: Path, nothing_on_path: Path
) -> None:
    script(nothing_on_path / "arkor", "")
    launch = training_command(settings, {})
    assert launch.argv == [str(arkor), "start"]
    assert launch.trainer is None


def test_the_arkor_command_on_path_is_used_otherwise(settings: Settings, nothing_on_path: Path) -> None:
    on_path = script(nothing_on_path / "arkor", "")
    assert training_command(settings, {}).argv == [str(on_path), "start"]


def test_without_arkor_toml_or_a_command_starting_is_refused(
    settings: Settings, nothing_on_path: Path
) -> None:
    with pytest.raises(ArkorError) as fault:
        training_command(settings, {})
    assert (status_of(fault.value), fault.value.text) == (400, NO_COMMAND)
    assert "arkor-dev init" in NO_COMMAND
    assert "npm install FILE.tgz" in NO_COMMAND


def test_a_typescript_project_without_its_packages_names_the_install_command(
    settings: Settings, nothing_on_path: Path
) -> None:
    (settings.project / "package.json").write_text('{"dependencies": {"arkor": "1"}}')
    for lock, install in ((None, "npm install"), ("bun.lock", "bun install")):
        if lock:
            (settings.project / lock).touch()
        with pytest.raises(ArkorError, match=f"names arkor, but it is not installed. Run `{install}`"):
            training_command(settings, {})
    with pytest.raises(ArkorError, match="trains on the managed backend only"):
        training_command(replace(settings, local=True), {})


@pytest.mark.parametrize("name", ["train.ts", "-x.ts", "--help", "a b;rm -rf.ts", "$(id).ts", "sub/deep.ts"])
def test_an_entry_file_is_passed_as_a_relative_path(name: str, settings: Settings, arkor: Path) -> None:
    path = settings.project / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    launch = training_command(settings, {"file": name})
    assert launch.argv == [str(arkor), "start", f"./{name}"]
    assert launch.file == name


def test_an_entry_file_runs_with_the_typescript_command(settings: Settings, arkor: Path) -> None:
    (settings.project / "arkor.toml").write_text(TOML)
    (settings.project / "x.ts").touch()
    assert training_command(settings, {"file": "x.ts"}).argv == [str(arkor), "start", "./x.ts"]


def test_an_entry_file_may_be_a_link_within_the_project(settings: Settings, arkor: Path) -> None:
    (settings.project / "real.ts").touch()
    (settings.project / "link.ts").symlink_to("real.ts")
    assert training_command(settings, {"file": "link.ts"}).file == "real.ts"


def test_a_project_folder_may_be_a_symlink(settings: Settings, arkor: Path, tmp_path: Path) -> None:
    (settings.project / "real.ts").touch()
    (tmp_path / "link").symlink_to(settings.project)
    assert inside(tmp_path / "link", "real.ts") == settings.project / "real.ts"


OUTSIDE = [
    "missing.ts",
    "",
    ".",
    "..",
    "../outside.ts",
    "folder",
    "link-out.ts",
    "folder/link-out/outside.ts",
    "loop",
    "dangling",
    "/etc/passwd",
    "x\0.ts",
    "\ud800.ts",
    "n" * 5000,
    "pipe",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_entry_files_outside_the_project_are_refused(
    name: str, settings: Settings, arkor: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside.ts").touch()
    (settings.project / "folder").mkdir()
    (settings.project / "link-out.ts").symlink_to(tmp_path / "outside.ts")
    (settings.project / "folder" / "link-out").symlink_to(tmp_path)
    (settings.project / "loop").symlink_to("loop")
    (settings.project / "dangling").symlink_to("nowhere")
    os.mkfifo(settings.project / "pipe")
    with pytest.raises(ArkorError) as fault:
        inside(settings.project, name)
    assert status_of(fault.value) == 400


def test_a_typescript_dry_run_is_refused_with_its_remedy(settings: Settings, arkor: Path) -> None:
    with pytest.raises(ArkorError, match="dryRun: true") as fault:
        training_command(settings, {"dryRun": True})
    assert status_of(fault.value) == 400


def test_the_key_of_a_run_depends_on_what_it_runs(settings: Settings, arkor: Path) -> None:
    (settings.project / "first").touch()
    by_file = training_command(settings, {"file": "first"}).key
    plain = training_command(settings, {}).key
    (settings.project / "arkor.toml").write_text(TOML)
    assert len({by_file, plain, training_command(settings, {"trainer": "first"}).key}) == 3


def test_jobs_to_repeat_or_start_from_are_single_arguments(settings: Settings) -> None:
    (settings.project / "arkor.toml").write_text(TOML)
    like = training_command(settings, {"like": "--help $(x)", "settings": {"lrPower": 2}}).argv
    assert "--like=--help $(x)" in like
    repeats = [training_command(settings, {"like": job, "seeds": 3}) for job in ("a", "b")]
    assert "--seeds=3" in repeats[0].argv
    assert len({each.key for each in repeats} | {training_command(settings, {"like": "a"}).key}) == 3
    begun = training_command(settings, {"parent": {"jobId": "--local", "step": 20}}).argv
    assert begun[-1] == "--from=--local:20"
    begun = training_command(settings, {"parent": {"jobId": "a:5"}}).argv
    assert begun[-1] == "--from=a:5:final"
    data = training_command(settings, {"data": ["data/a.jsonl", "--local"]}).argv
    assert data[-2:] == ["--data=data/a.jsonl", "--data=--local"]
