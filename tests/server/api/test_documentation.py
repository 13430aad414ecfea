"""The documentation as the page reads it, and the program of docs/contract.md, run as it is written there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_dev.server.api.documentation import pages

if TYPE_CHECKING:
    import pytest

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


async def test_the_documented_program_reads_the_jobs(
    studio: Studio, fake_backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "contract.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / ".arkor").mkdir()
    (tmp_path / ".arkor" / "studio-token").write_text(studio.token)
    monkeypatch.setenv("HOME", str(tmp_path))
    fake_backend.add_job("completed", name="a")
    found: dict[str, Any] = {}
    code = code.replace("localhost:4000", f"127.0.0.1:{studio.port}")
    await asyncio.to_thread(exec, code, found)
    assert [job["name"] for job in found["jobs"]] == ["a"]


async def test_only_documentation_pages_are_served_as_markdown(studio: Studio) -> None:
    async with studio.session.get("/api/docs/evaluation") as answer:
        assert (answer.status, answer.content_type) == (200, "text/markdown")
        assert (await answer.text()).startswith("# Evaluation\n")
    async with studio.session.get("/api/docs/index") as answer:
        assert "(evaluation.md)" in await answer.text()
    for name in ("CHANGES", "..%2FREADME", "nothing"):
        async with studio.session.get(f"/api/docs/{name}") as answer:
            assert answer.status == 404


def test_the_docs_folder_of_another_project_is_not_served(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "docs", tmp_path / "site"
    for folder, title in ((theirs, "Their project"), (ours, "Arkor Studio for Python")):
        folder.mkdir()
        (folder / "llms.txt").write_text(f"# {title}\n")
        (folder / "start.md").write_text(f"Of {title}.")
    assert pages([theirs]) == {}
    assert pages([theirs, ours])["start"].read_text() == "Of Arkor Studio for Python."
