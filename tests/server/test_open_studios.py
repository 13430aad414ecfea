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


def test_the_second_is_told_where_the_first_is(settings: Settings) -> None:
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


def test_another_project_backend_or_account_has_a_studio_of_its_own(
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


def test_one_that_was_killed_is_in_nobody_s_way(settings: Settings) -> None:
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


def test_one_that_is_just_starting_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_one_that_never_says_its_port_does_not_keep_others_from_starting(
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
def test_what_is_no_entry_is_none(settings: Settings, content: str) -> None:
    with claimed(settings):
        (path,) = entries(settings)
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert project_on(settings, 4711) is None
    with claimed(settings) as place:
        place.publish(4711)
        assert project_on(settings, 4711) == str(settings.project)


def test_a_disk_that_keeps_nothing_is_no_reason_not_to_start(settings: Settings, tmp_path: Path) -> None:
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
