"""``arkor-dev completion``: what shells offer is what ``--help`` names."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from arkor_dev.cli import main as cli
from arkor_dev.cli.command_table import COMMANDS
from arkor_dev.cli.commands.completion import SHELLS

ROOT = Path(__file__).parents[3]
SPELLED = {"-": "-s ", "--": "-l "}
"""How fish's completions name an option."""
CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


def script_of(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_offers_every_command_and_option(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script_of(shell, capsys)
    for name, command in COMMANDS.items():
        assert name in text
        for option in command.parser().options():
            assert (
                re.sub("^(--?)", lambda m: SPELLED[m[1]], option) in text
                if shell == "fish"
                else option in text
            )
    if shutil.which(shell):
        (tmp_path / "script").write_text(text)
        subprocess.run([*CHECKS[shell], str(tmp_path / "script")], check=True)


def offered(script: str, folder: Path, *words: str) -> set[str]:
    """What bash offers for the last of ``words``, in ``folder``."""
    called = (
        f"{script}\nCOMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        '_arkor_dev; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    bash = ["bash", "--noprofile", "--norc", "-c", called]
    return set(subprocess.run(bash, check=True, capture_output=True, text=True, cwd=folder).stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = script_of("bash", capsys)
    (tmp_path / "a folder").mkdir()
    (tmp_path / "chats.jsonl").touch()
    assert offered(script, tmp_path, "arkor-dev", "ex") == {"export"}
    assert offered(script, tmp_path, "arkor-dev", "--l") == {"--local", "--log-level"}
    assert offered(script, tmp_path, "arkor-dev", "--local", "jobs", "re") == {"resume"}
    assert offered(script, tmp_path, "arkor-dev", "data", "f") == {"fix"}
    assert offered(script, tmp_path, "arkor-dev", "export", "--format", "gg") == {"gguf", "gguf-lora"}
    assert offered(script, tmp_path, "arkor-dev", "start", "--log-level", "d") == {"debug"}
    assert offered(script, tmp_path, "arkor-dev", "--engine", "") == {"auto", "exact", "llama.cpp"}
    assert offered(script, tmp_path, "arkor-dev", "evaluate", "--data", "") == {"a", "folder", "chats.jsonl"}
    assert offered(script, tmp_path, "arkor-dev", "evaluate", "--adapter", "") == {"a", "folder"}
    assert offered(script, tmp_path, "arkor-dev", "start", "--set", "") == set()


def test_zsh_and_fish_describe_options(capsys: pytest.CaptureFixture[str]) -> None:
    zsh, fish = script_of("zsh", capsys), script_of("fish", capsys)
    for said in (
        "--project:the project'\\''s folder'",
        "'--steps:extend: train to this step,",
        "--json:print JSON'",
    ):
        assert said in zsh
    for said in (
        "-a 'csv\\t jsonl\\t tensorboard\\t' -d 'figures: csv'",
        "-d 'make, more: the teacher'\\''s model'",
    ):
        assert said in fish


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_describes_options_not_values(capsys: pytest.CaptureFixture[str]) -> None:
    ask = (
        script_of("fish", capsys)
        + "\ncomplete -C'arkor-dev export --format g'\ncomplete -C'arkor-dev evaluate --aga'"
    )
    done = subprocess.run(
        [shutil.which("fish") or "fish", "--no-config", "-c", ask], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        "gguf",
        "gguf-lora",
        "--against\tcompare with this job's final adapter on the same rows, not with the base",
    ]


def test_an_unsupported_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "tcsh"]) == 2
    assert "tcsh is not supported: one of bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_page_is_well_formed() -> None:
    page = ROOT / "man" / "arkor-dev.1"
    groff = [shutil.which("groff") or "groff", "-man", "-ww", "-z", str(page)]
    done = subprocess.run(groff, capture_output=True, text=True, check=True)
    assert done.stderr == ""
