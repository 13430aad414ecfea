"""Settings written into arkor.toml: seen before, whole or not at all, and never over another's change."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.core.atomic_write import replace_regular
from arkor_dev.project import write_settings as module
from arkor_dev.project.arkor_toml import load_trainers, revision
from arkor_dev.project.toml import edit
from arkor_dev.project.write_settings import write_settings

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import SettingsWritten

TOML = """\
[[trainer]]
name = "a"
model = "m"
dataset = { huggingface = "a/b" }
steps = 40  # a try

[[trainer]]
name = "wrong"
model = 3
dataset = { huggingface = "a/b" }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a file that its owner alone may write."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "arkor.toml").write_text(TOML)
    (folder / "arkor.toml").chmod(0o640)
    return folder


def write(
    project: Path, changes: dict[str, object], *, trainer: str = "a", preview: bool = False
) -> SettingsWritten:
    """As a page does that has just looked."""
    return write_settings(project, trainer, revision(project), changes, preview=preview)


def refused(project: Path, changes: dict[str, object], **how: str) -> tuple[int, str]:
    """The refusal's status and text; the file must be as it was."""
    before = (project / "arkor.toml").read_bytes()
    with pytest.raises(ArkorError) as fault:
        write(project, changes, **how)  # type: ignore[arg-type]
    assert (project / "arkor.toml").read_bytes() == before
    return status_of(fault.value), fault.value.text


def test_a_preview_returns_the_diff_without_writing(project: Path) -> None:
    shown = write(project, {"maxSteps": 60, "loraR": 4}, preview=True)
    assert (project / "arkor.toml").read_text() == TOML
    assert shown["diff"].splitlines() == [
        "--- arkor.toml",
        "+++ arkor.toml",
        "@@ -3,5 +3,6 @@",
        ' model = "m"',
        ' dataset = { huggingface = "a/b" }',
        "-steps = 40  # a try",
        "+steps = 60  # a try",
        "+lora.r = 4",
        " ",
        " [[trainer]]",
    ]
    assert shown["revision"] == revision(project)
    done = write(project, {"maxSteps": 60, "loraR": 4})
    assert done == {"diff": shown["diff"], "revision": revision(project)}
    assert (project / "arkor.toml").read_text() == TOML.replace("40  # a try", "60  # a try\nlora.r = 4")


def test_writing_keeps_the_file_mode(project: Path) -> None:
    write(project, {"seed": 1})
    assert stat.S_IMODE((project / "arkor.toml").stat().st_mode) == 0o640
    assert [path.name for path in project.iterdir()] == ["arkor.toml"]


def test_epochs_replace_steps(project: Path) -> None:
    write(project, {"numTrainEpochs": 2})
    config = load_trainers(project)[0]["config"]
    assert (config.get("maxSteps"), config.get("numTrainEpochs")) == (None, 2)


def test_unchanged_settings_do_not_write(project: Path) -> None:
    before = (project / "arkor.toml").stat()
    assert write(project, {"maxSteps": 40, "seed": None})["diff"] == ""
    assert (project / "arkor.toml").stat() == before


def test_a_changed_arkor_toml_is_not_overwritten(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = revision(project)
    (project / "arkor.toml").write_text(TOML + "# mine\n")
    for preview in (True, False):
        with pytest.raises(ArkorError, match="has changed on disk since") as fault:
            write_settings(project, "a", shown, {"seed": 1}, preview=preview)
        assert status_of(fault.value) == 409
    assert (project / "arkor.toml").read_text() == TOML + "# mine\n"
    # Also in the last moment: after it was read, and while the new one is written.

    def late(path: Path, content: bytes, expected: bytes) -> None:
        path.write_text("# theirs\n")
        replace_regular(path, content, expected)

    monkeypatch.setattr(module, "replace_regular", late)
    with pytest.raises(ArkorError, match="has changed on disk since"):
        write(project, {"seed": 1})
    assert (project / "arkor.toml").read_text() == "# theirs\n"
    assert [path.name for path in project.iterdir()] == ["arkor.toml"]


def test_arkor_toml_is_not_written_through_a_symlink(project: Path, tmp_path: Path) -> None:
    (project / "arkor.toml").rename(tmp_path / "shared.toml")
    (project / "arkor.toml").symlink_to(tmp_path / "shared.toml")
    status, text = refused(project, {"seed": 1})
    assert (status, "is a symlink" in text) == (400, True)
    assert (project / "arkor.toml").is_symlink()


def test_invalid_files_and_values_are_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, text = refused(project, {"seed": 1}, trainer="wrong")
    assert (status, text.split(";")[0]) == (400, "arkor.toml:9: model = 3 is invalid")
    assert "power applies only when scheduler is" in refused(project, {"lrPower": 2})[1]
    assert "has no trainer" in refused(project, {"seed": 1}, trainer="none")[1]
    monkeypatch.setattr(edit, "edit", lambda *_: TOML.replace("40", "41"))
    assert "make the change by hand" in refused(project, {"maxSteps": 42})[1]
    (project / "arkor.toml").write_text(TOML + "#\n" * module.MANY_LINES)
    assert "too many to compare" in refused(project, {"maxSteps": 42})[1]
