"""One Studio for a project and a backend; the second shows the way to the first."""

from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.server import open_studios
from arkor_dev.server.open_studios import FOLDER, OpenElsewhere, claimed, project_on

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings


def entries(settings: Settings) -> list[Path]:
    return sorted((settings.data / FOLDER).iterdir())


def test_a_second_studio_gets_the_address_of_the_first(settings: Settings) -> None:
    with claimed(settings) as place:
        place.publish(4711)
        with (
            pytest.raises(OpenElsewhere, match=r"^http://localhost:4711$"),
            claimed(replace(settings, port=4712)),
        ):
            pass
        assert project_on(settings, 4711) == str(settings.project)
        assert project_on(settings, 4712) is None
        (entry,) = entries(settings)
        assert entry.stat().st_mode & 0o777 == 0o600
        assert entry.parent.stat().st_mode & 0o777 == 0o700
        assert settings.studio_token not in entry.read_text()
        assert json.loads(entry.read_text()) == {"port": 4711, "project": str(settings.project)}
    assert project_on(settings, 4711) is None
    with claimed(settings) as place:
        place.publish(4713)


def test_other_projects_backends_and_accounts_have_their_own_studio(
    settings: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "another project"
    others = (
        replace(settings, project=other),
        replace(settings, local=not settings.local),
        replace(settings, cloud_url="http://127.0.0.1:1"),
        replace(settings, home=tmp_path / "another home"),
    )
    with claimed(settings) as place:
        place.publish(4711)
        for port, each in enumerate(others, 4720):
            with claimed(each) as beside:
                beside.publish(port)
                assert project_on(settings, port) == str(each.project)
    assert len(entries(settings)) == 5


def hold(settings: Settings, port: int, held: object, end: object) -> None:
    with claimed(settings) as place:
        place.publish(port)
        held.set()  # type: ignore[attr-defined]
        end.wait(60)  # type: ignore[attr-defined]


def test_a_killed_studio_does_not_block_the_next(settings: Settings) -> None:
    """What it has left on the disk names a port that is nobody's."""
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    process = context.Process(target=hold, args=(settings, 4711, held, end))
    process.start()
    try:
        assert held.wait(60)
        with pytest.raises(OpenElsewhere), claimed(settings):
            pass
    finally:
        process.kill()
        process.join(60)
    assert project_on(settings, 4711) is None
    with claimed(settings) as place:
        assert entries(settings)[0].read_text() == ""
        place.publish(4712)
        assert project_on(settings, 4712) == str(settings.project)


def test_a_starting_studio_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_studios, "STARTING_SECONDS", 60)
    with claimed(settings) as place:
        waits: list[float] = []

        def pause(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                place.publish(4711)

        monkeypatch.setattr(time, "sleep", pause)
        with pytest.raises(OpenElsewhere, match="4711"), claimed(settings):
            pass
        assert len(waits) == 3


def test_a_studio_that_never_starts_does_not_block_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_studios, "STARTING_SECONDS", 0.05)
    with claimed(settings) as first:
        with claimed(settings) as second:
            second.publish(4712)  # it is no one's to say: the entry is the first's
        first.publish(4711)
        assert project_on(settings, 4711) == str(settings.project)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"port": true, "project": ""}', '{"port": 70000, "project": ""}', "\udc80"]
)
def test_invalid_entries_are_ignored(settings: Settings, content: str) -> None:
    with claimed(settings):
        (path,) = entries(settings)
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert project_on(settings, 4711) is None
    with claimed(settings) as place:
        place.publish(4711)
        assert project_on(settings, 4711) == str(settings.project)


def test_an_unwritable_disk_does_not_prevent_a_start(settings: Settings, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    with claimed(replace(settings, data=blocked)) as place:
        place.publish(4711)
    folder = settings.data / FOLDER
    folder.mkdir(parents=True)
    target = tmp_path / "target"
    target.write_text("mine")
    with claimed(settings):
        (path,) = entries(settings)
    path.unlink()
    path.symlink_to(target)
    with claimed(settings) as place:
        place.publish(4711)
    assert target.read_text() == "mine"
