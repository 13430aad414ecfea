"""The licence and languages of a base's own card, as far as they can be read for certain."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cards.base_card import card_of_base

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("front", "told"),
    [
        ("license: apache-2.0\nlanguage:\n- en\n- de\n", {"license": "apache-2.0", "language": ["en", "de"]}),
        ('license: "mit"\nlanguage: fr', {"license": "mit", "language": ["fr"]}),
        ("language: [en, 'pt']", {"language": ["en", "pt"]}),
        (
            "license: other\nlicense_name: Llama 3.2 (Community)\nlicense_link: https://example.com/LICENSE",
            {
                "license": "other",
                "license_name": "Llama 3.2 (Community)",
                "license_link": "https://example.com/LICENSE",
            },
        ),
        ("license: javascript:alert(1)\nlicense_link: javascript:x", {}),
        ("license: &a [*a, *a]\nlanguage: {x: y}", {}),
        ("tags:\n- license: mit", {}),
        ("license:\n- mit", {}),
    ],
)
def test_the_front_matter_of_a_base_card_is_read(tmp_path: Path, front: str, told: dict[str, Any]) -> None:
    (tmp_path / "README.md").write_text(f"---\n{front.strip()}\n---\n# Card\nlicense: gpl-3.0\n")
    assert card_of_base("org/model", tmp_path, tmp_path) == {"hub": True, **told}


def test_a_base_without_a_card_has_no_license(tmp_path: Path) -> None:
    assert card_of_base("org/model", tmp_path, tmp_path) == {"hub": True}
    (tmp_path / "README.md").write_text("# no front matter\nlicense: mit\n")
    assert card_of_base("org/model", tmp_path, tmp_path) == {"hub": True}
    (tmp_path / "README.md").unlink()
    os.mkfifo(tmp_path / "README.md")
    assert card_of_base("org/model", tmp_path, tmp_path) == {"hub": True}


def test_a_local_folder_is_not_a_hub_model(tmp_path: Path) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    for name in ("models/tiny", "./models/tiny", "/models/tiny", "~/models/tiny", "../tiny"):
        assert not card_of_base(name, tmp_path, tmp_path)["hub"], name
    assert card_of_base("gpt2", tmp_path, tmp_path)["hub"]


def test_the_starter_model_has_a_card(tmp_path: Path) -> None:
    told = {"hub": True, "license": "apache-2.0", "language": ["en"]}
    assert card_of_base("HuggingFaceTB/SmolLM2-135M-Instruct", tmp_path, tmp_path) == told
