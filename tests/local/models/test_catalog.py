"""Which folder a base model's name means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.models.catalog import (
    STARTER,
    STARTER_NOTE,
    Models,
    is_starter,
    load_problem,
    portable_name,
    starter_folder,
)
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names or ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).touch()
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Models:
    (tmp_path / "project").mkdir()
    return Models(tmp_path / "project", tmp_path / "cache")


@pytest.mark.parametrize(
    "name", ["smollm2-135m-instruct", "SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"]
)
def test_the_starter_model_has_three_names_and_one_folder(models: Models, tmp_path: Path, name: str) -> None:
    assert is_starter(name)
    assert models.find_local(name) is None
    fill(starter_folder(tmp_path / "cache"))
    found = models.find_local(name)
    assert found
    assert (found.name, found.path) == (STARTER, tmp_path / "cache" / "models" / "smollm2-135m-instruct")


def test_an_incomplete_starter_folder_is_not_used(models: Models, tmp_path: Path) -> None:
    fill(starter_folder(tmp_path / "cache"), "config.json")
    assert models.find_local(STARTER) is None


def test_model_folders_are_found_in_and_outside_the_project(models: Models, tmp_path: Path) -> None:
    inside, outside = fill(tmp_path / "project" / "org" / "name"), fill(tmp_path / "elsewhere")
    for name, path in [
        ("org/name", inside),
        ("./org/name", inside),
        (str(outside), outside),
        ("../elsewhere", outside),
    ]:
        found = models.find_local(name)
        assert found
        assert (found.name, found.path) == (name, path)


def test_hub_ids_are_not_local_folders(models: Models) -> None:
    assert models.find_local("google/gemma-3-270m-it") is None
    assert models.find_local("gpt2") is None


@pytest.mark.parametrize("name", ["./none", "/none", "~/none-such", "a b", "a/b/c"])
def test_a_missing_model_path_is_an_error(models: Models, name: str) -> None:
    with pytest.raises(JobFailure, match="Model folder not found"):
        models.find_local(name)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (("a.txt",), "no config.json"),
        (("config.json",), "no weights"),
        (("config.json", "model.safetensors"), "no tokenizer"),
        (("config.json", "pytorch_model.bin", "tokenizer.model"), "pickled"),
        (("config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.model"), None),
    ],
)
def test_missing_files_of_a_model_folder_are_named(
    models: Models, tmp_path: Path, names: tuple[str, ...], missing: str | None
) -> None:
    folder = fill(tmp_path / "project" / "m", *names)
    if missing is None:
        assert load_problem(folder) is None
        assert models.find_local("m")
    else:
        with pytest.raises(JobFailure, match=missing):
            models.find_local("m")


@pytest.mark.parametrize(
    ("name", "travels"),
    [
        ("./models/tiny", "./models/tiny"),
        ("models/tiny", "models/tiny"),
        ("org/model", "org/model"),
        ("/home/ann/models/tiny", "tiny"),
        ("~/models/tiny/", "tiny"),
        ("../../ann/models/tiny", "tiny"),
    ],
)
def test_portable_model_names_contain_no_local_paths(name: str, travels: str) -> None:
    assert portable_name(name) == travels


def test_the_packaged_starter_describes_its_weights(models: Models, tmp_path: Path) -> None:
    fill(starter_folder(tmp_path / "cache"))
    fill(tmp_path / "project" / "models" / "own")
    starter, own = models.find_local("smollm2-135m-instruct"), models.find_local("models/own")
    assert starter
    assert starter.note == STARTER_NOTE
    assert "4 bits" in STARTER_NOTE
    assert own
    assert own.note is None
