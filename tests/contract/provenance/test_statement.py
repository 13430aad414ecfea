"""A provenance may come from anybody: what is read is what arkor-dev writes, or it is refused."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.provenance.statement import (
    BESIDE,
    FILE,
    StatementError,
    dependencies,
    figures,
    is_safe,
    job_id,
    read_statement,
    statement_of,
)
from arkor_dev.local.jobs.atomic_folder import MANIFEST
from tests.support.statements import changed, digest, raw_statement, resource, write_folder

if TYPE_CHECKING:
    from pathlib import Path

BUILD = ("predicate", "buildDefinition")
DETAILS = ("predicate", "runDetails")


def test_a_statement_round_trips(tmp_path: Path) -> None:
    made = write_folder(tmp_path)
    read = read_statement(tmp_path)
    assert read == made
    assert job_id(read) == "job_0123456789ab"
    assert figures(read) == {"loss": 1.5, "evalLoss": 1.75}
    assert [each["name"] for each in dependencies(read, "base/")] == ["base/model.safetensors"]
    assert MANIFEST in BESIDE


def test_a_missing_statement_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_statement(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "", ".", "./a", "a\\b", "a\nb", "a\x1b[2Jb",
        "a\u202eb", "a/" * 30 + "b", "x" * 300, "x/" * 10 + "y" * 1000, "...", " ", FILE,
        "README.md", f"{FILE}/x",
    ],
)  # fmt: skip
def test_unsafe_file_names_are_refused(name: str) -> None:
    with pytest.raises(StatementError, match="names a"):
        statement_of(changed(raw_statement(), "subject", 0, "name", to=name))


def test_relative_names_within_the_folder_are_safe() -> None:
    for name in ("a", "a/b.json", ".hidden", "a b", "ä", "model-00001-of-00002.safetensors", "a..b"):
        assert is_safe(name)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("_type",), "https://in-toto.io/Statement/v2"),
        (("predicateType",), None),
        ((*BUILD, "buildType"), "https://example.com/other"),
        (("subject",), []),
        (("subject",), {}),
        (("subject",), [1]),
        (("subject",), [resource("a", b"1"), resource("A", b"2")]),
        (("subject", 0, "digest"), {"sha512": digest(b"")}),
        (("subject", 0, "digest", "sha256"), digest(b"").upper()),
        (("subject", 0, "digest", "sha256"), digest(b"")[:-1]),
        (("subject", 0, "annotations"), []),
        (("subject", 0, "annotations"), {}),
        (("subject", 0, "annotations"), {"bytes": True}),
        (("subject", 0, "annotations"), {"bytes": -1}),
        ((*BUILD, "resolvedDependencies"), None),
        ((*BUILD, "resolvedDependencies", 0, "name"), "../x"),
        ((*BUILD, "externalParameters"), []),
        ((*BUILD, "internalParameters"), "x"),
        ((*DETAILS, "builder"), None),
        ((*DETAILS, "metadata"), 1),
        ((*DETAILS, "byproducts"), {}),
        (("predicate",), None),
    ],
)
def test_invalid_fields_are_refused(path: tuple[str | int, ...], value: Any) -> None:
    with pytest.raises(StatementError):
        statement_of(changed(raw_statement(), *path, to=value))


def test_documents_other_than_statements_are_refused() -> None:
    values: tuple[object, ...] = (None, [], "x", 1, {})
    for value in values:
        with pytest.raises(StatementError):
            statement_of(value)


def test_unknown_fields_are_ignored() -> None:
    made = changed(raw_statement(), "predicate", "more", to=1)
    assert statement_of(changed(made, *BUILD, "internalParameters", "more", to={})) is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b'{"a": NaN}', "number"),
        (b"[" * 200 + b"]" * 200, "nested"),
        (b" " * ((8 << 20) + 1), "larger than 8 MiB"),
    ],
)
def test_an_invalid_statement_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StatementError, match=said):
        read_statement(tmp_path)


def test_links_fifos_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps(raw_statement()))
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StatementError, match="is a link"):
        read_statement(tmp_path)
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(StatementError, match="not a regular file"):
        read_statement(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(StatementError, match="cannot be read"):
        read_statement(tmp_path)
