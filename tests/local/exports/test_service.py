"""What is told of exports while one of them comes to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from arkor_dev.local.evaluation import kept
from arkor_dev.local.exports.service import Exports, Order
from arkor_dev.local.workers.errors import JobFailure

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


async def test_one_that_made_way_for_a_job_is_made_again_however_soon_that_job_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that cannot fit is refused before the end of the process that was killed for it is noticed."""
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    order = exports._orders["exp_1"] = Order({"id": "job_1"}, tmp_path, {**TOLD, "state": "waiting"})
    made: list[str] = []

    async def make(order: Order) -> dict[str, Any]:
        made.append(order.told["state"])
        if len(made) == 1:
            exports.training_begins()
            raise JobFailure("It was killed (signal 9), most likely because the machine ran out of memory")
        return {"bytes": 7}

    monkeypatch.setattr(exports, "_make", make)
    async with exports.running(), asyncio.timeout(10):
        while "exp_1" in exports._orders and "error" not in order.told:  # noqa: ASYNC110 - what is told is all that there is to wait for
            await asyncio.sleep(0.01)
    assert made == ["running", "running"]
    (told,) = exports.list("job_1")
    assert (told["state"], told["bytes"]) == ("completed", 7)


async def test_one_that_has_failed_stays_with_its_reason_and_the_next_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    for number in (1, 2, 3):
        told = {**TOLD, "id": f"exp_{number}", "state": "waiting"}
        exports._orders[f"exp_{number}"] = Order({"id": "job_1"}, tmp_path, told)

    async def make(order: Order) -> dict[str, Any]:
        if order.told["id"] == "exp_1":
            raise JobFailure("no room")
        if order.told["id"] == "exp_2":
            raise KeyError("x")
        return {}

    monkeypatch.setattr(exports, "_make", make)
    async with exports.running(), asyncio.timeout(10):
        while "exp_3" in exports._orders:  # noqa: ASYNC110 - what is told is all that there is to wait for
            await asyncio.sleep(0.01)
    assert {each["id"]: (each["state"], each.get("error")) for each in exports.list("job_1")} == {
        "exp_1": ("failed", "no room"),
        "exp_2": ("failed", "the local backend failed: KeyError: 'x'"),
        "exp_3": ("completed", None),
    }


async def test_of_a_job_that_is_deleted_meanwhile_no_folder_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process makes the folder anew, where it is killed a moment after the job's files were removed."""
    exports = Exports(None, None, tmp_path, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    exports._orders["exp_1"] = Order({"id": "job_1"}, tmp_path, {**TOLD, "state": "waiting"})
    folder = exports._folder("job_1")

    async def make(_: Order) -> dict[str, Any]:
        (folder / "exp_1.part").mkdir(parents=True)
        exports.drop("job_1")
        raise JobFailure("It was killed")

    monkeypatch.setattr(exports, "_make", make)
    async with exports.running(), asyncio.timeout(10):
        while exports._orders or folder.parent.exists():  # noqa: ASYNC110 - nothing is told of it any more
            await asyncio.sleep(0.01)
    assert list(folder.parent.parent.iterdir()) == []
