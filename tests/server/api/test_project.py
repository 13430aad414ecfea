"""``/api/project`` and ``/api/manifest/dataset``: from an empty folder to data that can be trained on."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.exclusions import entry_of, row_hash
from tests.data.traces import samples

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.studio import Studio

CSV = b"id,question,answer\n" + b"".join(b"%d,Where is it?,On its way.\n" % n for n in range(60))


async def post(studio: Studio, path: str, **body: Any) -> tuple[int, Any]:
    async with studio.session.post(f"/api/{path}", **body) as answer:
        return answer.status, await answer.json()


async def trainer(studio: Studio) -> tuple[dict[str, Any], str]:
    """The first trainer, and the file's revision."""
    async with studio.session.get("/api/manifest") as answer:
        manifest = await answer.json()
    return manifest["trainers"][0], manifest["revision"]


async def test_the_starter_project_is_written_once(studio: Studio) -> None:
    status, written = await post(studio, "project/starter")
    assert (status, written["files"]) == (200, ["arkor.toml", "data/chats.jsonl"])
    assert (await trainer(studio))[0]["rows"] > 20
    status, refused = await post(studio, "project/starter")
    assert status == 409
    assert "Nothing was written" in refused["error"]


async def test_uploaded_data_with_own_columns_is_mapped(studio: Studio) -> None:
    project = studio.settings.project
    status, kept = await post(studio, "project/data?name=C:\\fakepath\\My%20FAQ.CSV", data=CSV)
    assert (status, kept) == (200, {"path": "data/my-faq.csv", "created": True})
    assert (project / "data" / "my-faq.csv").read_bytes() == CSV
    first, revision = await trainer(studio)
    assert first["name"] == "my-faq"
    # Not one can be trained on: a start is refused, and what it needs is said.
    assert (first["rows"], first["unreadable"]) == (0, 60)
    assert first["problem"].startswith("None of the 60 rows can be trained on. data/my-faq.csv, line 2:")
    unmapped = first["unmapped"]
    assert unmapped["columns"] == ["id", "question", "answer"]
    assert unmapped["rows"][1] == {"id": "1", "question": "Where is it?", "answer": "On its way."}
    mapping = {"trainer": "my-faq", "revision": revision, "part": 0, "columns": unmapped["suggested"]}
    status, shown = await post(studio, "manifest/dataset", json={**mapping, "preview": True})
    assert status == 200
    line = '{ path = "data/my-faq.csv", columns = { prompt = "question", completion = "answer" } }'
    assert f"+dataset = {line}" in shown["diff"]
    assert (await trainer(studio))[1] == revision
    assert (await post(studio, "manifest/dataset", json=mapping))[0] == 200
    assert (await post(studio, "manifest/dataset", json=mapping))[0] == 409, "the revision is another by now"
    first, revision = await trainer(studio)
    assert first["rows"] == 60
    assert not first.keys() & {"problem", "flaw", "unreadable", "unmapped"}
    # The next file has another name, and takes the place of the first where it is asked to.
    status, kept = await post(studio, "project/data?name=my-faq.csv", data=b"prompt,completion\na,b\n")
    assert (status, kept) == (200, {"path": "data/my-faq-2.csv", "created": False})
    another = {"trainer": "my-faq", "revision": revision, "path": kept["path"]}
    assert (await post(studio, "manifest/dataset", json=another))[0] == 200
    assert (await trainer(studio))[0]["rows"] == 1


async def test_an_uploaded_trace_becomes_rows(studio: Studio) -> None:
    project = studio.settings.project
    log = "".join(f"{json.dumps(record)}\n" for record in [*samples.LANGSMITH, {"run_type": "llm"}])
    status, kept = await post(studio, "project/data?name=Runs.jsonl", data=log.encode())
    assert (status, kept["path"], kept["created"]) == (200, "data/runs-rows.jsonl", True)
    assert kept["note"].splitlines() == [
        (
            "1 row of LangSmith runs; 1 shorter or equal conversation merged; "
            "2 parts without a model's answer left out; 1 not converted."
        ),
        "runs.jsonl:3: input must be a list of messages, not NoneType",
    ]
    assert [path.name for path in (project / "data").iterdir()] == ["runs-rows.jsonl"]
    assert (await trainer(studio))[0]["rows"] == 1
    assert "problem" not in (await trainer(studio))[0]


async def test_a_trace_without_a_row_is_refused(studio: Studio) -> None:
    log = json.dumps({"run_type": "llm", "inputs": {"messages": []}})
    status, refused = await post(studio, "project/data?name=runs.json", data=log.encode())
    assert status == 400
    assert "runs.json:1: messages is empty" in refused["error"]
    assert list((studio.settings.project / "data").iterdir()) == []
    assert not (studio.settings.project / "arkor.toml").exists()


async def test_an_uploaded_table_without_a_header_is_mapped_by_number(studio: Studio) -> None:
    rows = b"Where is my order?,It is on its way to you.\n" * 3
    await post(studio, "project/data?name=raw.csv", data=rows)
    first, revision = await trainer(studio)
    assert first["unmapped"]["suggested"] == {"prompt": "1", "completion": "2"}
    mapping = {"trainer": "raw", "revision": revision, "columns": first["unmapped"]["suggested"]}
    assert (await post(studio, "manifest/dataset", json=mapping))[0] == 200
    assert (await trainer(studio))[0]["rows"] == 3


async def test_uploaded_parquet_columns_are_mapped(studio: Studio, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"question": ["Where is it?"] * 30, "answer": ["On its way."] * 30, "id": range(30)})
    parquet.write_table(table, tmp_path / "faq.parquet")
    packed = (tmp_path / "faq.parquet").read_bytes()
    await post(studio, "project/data?name=faq.parquet", data=packed)
    first, revision = await trainer(studio)
    assert first["problem"].startswith(
        "None of the first 20 rows can be trained on. data/faq.parquet, row 1:"
    )
    assert first["unmapped"]["suggested"] == {"prompt": "question", "completion": "answer"}
    mapping = {"trainer": "faq", "revision": revision, "columns": first["unmapped"]["suggested"]}
    assert (await post(studio, "manifest/dataset", json=mapping))[0] == 200
    first, _ = await trainer(studio)
    assert not first.keys() & {"problem", "unmapped"}
    # A damaged one is refused before a job is made of it.
    (studio.settings.project / "data" / "faq.parquet").write_bytes(packed[:-9])
    assert "cannot be read as Parquet" in (await trainer(studio))[0]["problem"]


async def test_columns_of_a_folder_are_mapped_for_all_files(studio: Studio) -> None:
    await post(studio, "project/data?name=a.csv", data=CSV)
    toml = studio.settings.project / "arkor.toml"
    toml.write_text(toml.read_text().replace('"data/a.csv"', '"data"'))
    assert (await trainer(studio))[0]["unmapped"]["file"] == "data/a.csv"
    await post(studio, "project/data?name=b.csv", data=b"prompt,completion\na,b\n")
    first, _ = await trainer(studio)
    assert (first["rows"], first["unreadable"], "unmapped" in first) == (1, 60, False)


async def test_a_row_is_excluded_and_included_again(studio: Studio) -> None:
    await post(studio, "project/data?name=a.csv", data=b"prompt,completion\na,b\na,b\nc,d\n")
    first, revision = await trainer(studio)
    assert first["rows"] == 3
    entry = entry_of(row_hash(["a", "b"]), 2)
    change = {"trainer": "a", "revision": revision}
    status, written = await post(studio, "manifest/dataset", json={**change, "exclude": [entry]})
    assert status == 200, written
    first, revision = await trainer(studio)
    assert first["rows"] == 2
    assert first["config"]["datasetSource"] == {"type": "file", "path": "data/a.csv", "exclude": [entry]}
    async with studio.session.get("/api/manifest/data?trainer=a") as answer:
        report = await answer.json()
    assert report["rows"] == 2
    assert [found["rows"][0]["row"] for found in report["findings"] if found["code"] == "excluded"] == [2]
    every = [entry_of(row_hash(["a", "b"]), 1), entry_of(row_hash(["c", "d"]), 1)]
    change["revision"] = revision
    assert (await post(studio, "manifest/dataset", json={**change, "exclude": every}))[0] == 200
    first, revision = await trainer(studio)
    assert first["problem"].startswith("Every row of data/a.csv is excluded: remove entries from exclude")
    change["revision"] = revision
    assert (await post(studio, "manifest/dataset", json={**change, "include": [*every, entry]}))[0] == 200
    assert (await trainer(studio))[0]["rows"] == 3
    assert 'dataset = { path = "data/a.csv" }' in (studio.settings.project / "arkor.toml").read_text()


@pytest.mark.parametrize("name", ["", "notes.txt", "..", "../x.exe", ".csv/", "a.csv.zip"])
async def test_only_data_files_may_be_uploaded(studio: Studio, name: str) -> None:
    assert (await post(studio, "project/data", params={"name": name}, data=CSV))[0] == 400
    assert not (studio.settings.project / "data").exists()


async def test_uploads_stay_within_the_project(studio: Studio) -> None:
    project = studio.settings.project
    outside = project.parent / "outside"
    outside.mkdir()
    (project / "data").symlink_to(outside)
    status, refused = await post(studio, "project/data?name=../../a.csv", data=CSV)
    assert status == 400
    assert "symlink" in refused["error"]
    (project / "data").unlink()
    assert (await post(studio, "project/data?name=a.csv", data=b""))[0] == 400
    assert list(outside.iterdir()) == list((project / "data").iterdir()) == []
    assert not (project / "arkor.toml").exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": "data/a.csv", "columns": {"prompt": "a"}},
        {"columns": {}},
        {"columns": {"question": "a"}},
        {"columns": {"prompt": ""}},
        {"columns": {"prompt": "a\nb"}},
        {"part": 100, "columns": {"text": "a"}},
        {"exclude": []},
        {"exclude": ["a"]},
        {"exclude": ["0123456789abcdef"], "include": ["0123456789abcdef"]},
        {"part": 1, "columns": {"text": "question"}},
        {"path": "../outside.csv"},
    ],
)
async def test_invalid_data_set_changes_are_refused(studio: Studio, body: dict[str, Any]) -> None:
    await post(studio, "project/data?name=a.csv", data=CSV)
    toml = (studio.settings.project / "arkor.toml").read_text()
    _, revision = await trainer(studio)
    asked = {"trainer": "a", "revision": revision, **body}
    assert (await post(studio, "manifest/dataset", json=asked))[0] == 400
    assert (studio.settings.project / "arkor.toml").read_text() == toml
    assert tomllib.loads(toml)["trainer"][0]["dataset"] == "data/a.csv"
