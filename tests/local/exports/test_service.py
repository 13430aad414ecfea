"""What is told of exports while one of them comes to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.local.evaluation import kept
from arkor_dev.local.exports.service import Exports, Order

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TOLD: dict[str, Any] = {"id": "exp_1", "state": "running", "createdAt": "2026-01-01T00:00:00.000Z"}


def test_one_that_is_done_while_the_list_is_read_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is written and its order forgotten between the two looks."""
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    folder = exports._folder("job_1")
    folder.mkdir(parents=True)
    kept.write(folder / "exp_0.json", {**TOLD, "id": "exp_0", "state": "completed"})
    exports._orders["exp_1"] = Order({"id": "job_1"}, tmp_path, dict(TOLD))
    read = kept.read

    def done_meanwhile(path: Path) -> Any:
        if exports._orders.pop("exp_1", None):
            kept.write(folder / "exp_1.json", {**TOLD, "state": "completed"})
        return read(path)

    monkeypatch.setattr(kept, "read", done_meanwhile)
    assert {each["id"] for each in exports.list("job_1")} == {"exp_0", "exp_1"}
    assert {each["state"] for each in exports.list("job_1")} == {"completed"}
