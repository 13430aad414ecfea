"""A chat template that is no template is told from the model's files, with its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.modeling.chat_template import PLAIN_TEMPLATE
from arkor_dev.local.modeling.template_syntax import check_template
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine
BROKEN = "{% for m in messages %}\n{{ m.content }\n{% endfor %}"


@pytest.mark.parametrize("file", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_syntax_error_of_a_template_names_the_line(tmp_path: Path, file: str) -> None:
    text = BROKEN if file.endswith("jinja") else json.dumps({"chat_template": BROKEN})
    (tmp_path / file).write_text(text)
    with pytest.raises(JobFailure, match=r"chat template cannot be read, line 2: "):
        check_template(tmp_path)


@pytest.mark.parametrize(
    "template",
    [
        PLAIN_TEMPLATE,
        "{% for m in messages %}{% if loop.last %}{% break %}{% endif %}{% endfor %}",
        "{%- generation %}{{ messages[0].content }}{% endgeneration -%}",
        "{{ raise_exception('runs nothing') }}",
        "no tags",
    ],
)
def test_templates_valid_for_transformers_pass(tmp_path: Path, template: str) -> None:
    (tmp_path / "chat_template.jinja").write_text(template)
    check_template(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"chat_template": [{"name": "x", "template": "y"}]}', "{}"])
def test_files_without_a_template_pass(tmp_path: Path, text: str) -> None:
    check_template(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(text)
    check_template(tmp_path)


def test_a_deeply_nested_template_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("{% if x %}" * 20_000)
    with pytest.raises(JobFailure, match="cannot be read"):
        check_template(tmp_path)
