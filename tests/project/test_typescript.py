"""TypeScript projects: a small CLI of the tests' own builds them, real Node reads them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import ArkorError, BadRequestError, status_of
from arkor_dev.processes.run_child import ChildOutput
from arkor_dev.project import typescript
from arkor_dev.project.source_state import SETTLED
from arkor_dev.project.typescript import TypeScriptProject
from tests.support.processes import script
from tests.support.typescript_projects import trainer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import Manifest
    from tests.support.typescript_projects import TypeScriptProject as RealProject

pytestmark = pytest.mark.slow

# Builds by copying; a source with the word BROKEN does not compile. Each run is one letter in `builds`.
CLI = """
import os, sys, time
assert sys.argv[1:] == ["build"], sys.argv
source = open("src/arkor/index.ts", encoding="utf-8").read()
with open(".arkor/builds", "a") as builds:
    builds.write("b")
time.sleep(0.1)
if "BROKEN" in source:
    print("src/arkor/index.ts:1:1: \\x1b[31mnot TypeScript\\x1b[0m", file=sys.stderr)
    sys.exit(2)
if "NOWHERE" not in source:
    os.makedirs(".arkor/build", exist_ok=True)
    with open(".arkor/build/index.mjs", "w", encoding="utf-8") as bundle:
        bundle.write(source)
"""

TRAINER = 'const make = (name) => ({ name, start() {}, wait() {}, cancel() {} });\nlet loads = "";\n'


@pytest.fixture
def project(tmp_path: Path, node_on_path: None) -> Path:
    root = tmp_path / "a project"
    script(root / "node_modules" / ".bin" / "arkor", CLI)
    (root / "src" / "arkor").mkdir(parents=True)
    return root


@pytest.fixture
def unsupervised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the commands without their supervisor, for half the time; its own tests are elsewhere."""

    async def run(
        argv: list[str], cwd: Path, seconds: float, environ: Mapping[str, str] | None = None
    ) -> ChildOutput:
        child = await asyncio.create_subprocess_exec(
            *argv, cwd=cwd, env={**os.environ, **(environ or {})}, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(child.communicate(), seconds)
        return ChildOutput(child.returncode, output.decode())

    monkeypatch.setattr(typescript, "run_child", run)


def source(project: Path, text: str) -> Path:
    (project / "src" / "arkor" / "index.ts").write_text(text)
    return project


async def failure(project: Path) -> str:
    with pytest.raises(ArkorError) as caught:
        await TypeScriptProject(project).read()
    assert status_of(caught.value) == 400
    return caught.value.text


def named(name: str) -> Manifest:
    return {"trainer": {"name": name}, "trainers": [{"name": name}], "source": "typescript"}


@pytest.mark.usefixtures("unsupervised")
@pytest.mark.parametrize(
    "export",
    [
        'export const arkor = { _kind: "arkor", trainer: make("one") };',
        'export const arkor = make("one");',
        'export const trainer = make("one");',
        'export default { _kind: "arkor", trainer: make("one") };',
        'export default make("one");',
        'export default { trainer: make("one") };',
        # As `arkor start` chooses: only what createArkor made is a manifest, by either name.
        'export const arkor = { trainer: make("two") }; export const trainer = make("one");',
        'export const arkor = { trainer: make("two") }; export default make("one");',
        'export const trainer = make("one"); console.log("hello"); setInterval(() => {}, 1000);',
        'export const arkor = null; export const trainer = 3; export default make("one");',
    ],
)
async def test_every_export_shape_is_found(project: Path, export: str) -> None:
    assert await TypeScriptProject(source(project, TRAINER + export)).read() == named("one")


@pytest.mark.usefixtures("unsupervised")
async def test_trainer_names_may_contain_any_characters(project: Path) -> None:
    source(project, TRAINER + 'export const trainer = make("naïve \\u2028 `${1}` \\" 日本 \\u001b[31m");')
    manifest = await TypeScriptProject(project).read()
    assert manifest["trainer"] == {"name": 'naïve \u2028 `${1}` " 日本 \u001b[31m'}
    source(project, TRAINER + "export const trainer = make(3);")
    assert (await TypeScriptProject(project).read())["trainer"] == {"name": "(unnamed trainer)"}
    source(project, TRAINER + 'export const trainer = make("🗼".repeat(1e6) + "\\ud800");')
    assert (await TypeScriptProject(project).read())["trainer"] == {"name": "🗼" * 200}
    source(project, TRAINER + 'export const trainer = make("\\ud800");')
    assert (await TypeScriptProject(project).read())["trainer"] == {"name": "\ufffd"}


@pytest.mark.parametrize(
    "text", ["export const other = 1;", TRAINER + 'export const arkor = { trainer: make("one") };']
)
async def test_a_project_without_a_trainer_has_none(project: Path, text: str) -> None:
    source(project, text)
    assert await TypeScriptProject(project).read() == {
        "trainer": None,
        "trainers": [],
        "source": "typescript",
    }


async def test_a_failed_build_shows_the_tools_error(project: Path) -> None:
    text = await failure(source(project, "BROKEN"))
    assert text == "`arkor build` failed (exit code 2).\nsrc/arkor/index.ts:1:1: not TypeScript"


async def test_a_build_without_a_bundle_is_an_error(project: Path) -> None:
    assert "`arkor build` succeeded, but .arkor/build/index.mjs" in await failure(source(project, "NOWHERE"))


async def test_a_bundle_that_is_not_a_regular_file_is_refused(project: Path) -> None:
    bundle = source(project, "NOWHERE") / typescript.BUNDLE
    bundle.parent.mkdir(parents=True)
    os.mkfifo(bundle)
    assert "cannot be read (a FIFO, not a regular file)" in await failure(project)
    bundle.unlink()
    with bundle.open("wb") as file:
        file.truncate(typescript.BUNDLE_LIMIT + 1)
    assert "cannot be read (larger than 64 MiB)" in await failure(project)


@pytest.mark.usefixtures("unsupervised")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('throw new Error("no key: set THE_KEY");', "no key: set THE_KEY"),
        ("undefinedThing();", "ReferenceError: undefinedThing is not defined"),
        ('throw new Error("no", { cause: new TypeError("why") });', "no (TypeError: why)"),
        ('throw "a text";', "'a text'"),
        ("throw null;", "null"),
        ("await Promise.reject(new Error('late'));", "late"),
        ("setTimeout(() => { throw new Error('beside'); }); await new Promise(() => {});", "beside"),
        ("throw { get message() { throw 1; } };", "an error that cannot be shown"),
        ('throw new Error("\\u001b[2J\\u202e" + "long ".repeat(2000));', "long long"),
    ],
)
async def test_any_thrown_value_is_shown(project: Path, code: str, said: str) -> None:
    text = await failure(source(project, code))
    assert text.startswith(f"The project's code fails to load.\n{said}")
    assert len(text) < 2100


async def test_a_bundle_that_exits_node_is_an_error(project: Path) -> None:
    text = await failure(source(project, 'console.log("bye"); process.exit(0);'))
    assert text == "The built project exits Node before its trainer can be read.\nbye"


async def test_a_bundle_that_never_ends_times_out(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typescript, "LOAD_TIMEOUT", 0.2)
    assert "it took more than 0.2 s" in await failure(source(project, "for (;;) {}"))


async def test_long_error_output_is_truncated(project: Path) -> None:
    text = await failure(source(project, 'console.error("x".repeat(1e6)); throw new Error("why");'))
    assert len(text) < 200
    assert "why" in text


@pytest.mark.usefixtures("unsupervised")
async def test_only_changed_sources_are_built_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 'import fs from "node:fs"; fs.appendFileSync(".arkor/loads", "l");\n'
    builds = project / ".arkor" / "builds"
    reader = TypeScriptProject(source(project, count + TRAINER + 'export const trainer = make("one");'))

    async def builds_of_a_look(name: str) -> int:
        before = builds.stat().st_size
        assert await reader.read() == named(name)
        return builds.stat().st_size - before

    await reader.read()
    await asyncio.sleep(2 * SETTLED)
    await reader.read()  # the first was read while it had just been written
    assert await builds_of_a_look("one") == 0
    # Another text of the same size, within the moment of the look.
    source(project, count + TRAINER + 'export const trainer = make("two");')
    assert await builds_of_a_look("two") == 1
    await asyncio.sleep(2 * SETTLED)
    await reader.read()
    assert (project / ".arkor" / "loads").read_text() == "ll"
    # What cannot be looked at, or has not been built for long, is built again.
    (project / "linked").symlink_to(project / "src")
    monkeypatch.setattr(typescript, "UNCHECKED", 60.0)
    assert await builds_of_a_look("two") == 0
    monkeypatch.setattr(typescript, "UNCHECKED", 0.0)
    assert await builds_of_a_look("two") == 1
    (project / "linked").unlink()
    monkeypatch.setattr(typescript, "CHECKED", 0.0)
    assert await builds_of_a_look("two") == 1


@pytest.mark.usefixtures("unsupervised")
async def test_a_failed_load_is_retried(project: Path) -> None:
    needs = 'import fs from "node:fs"; fs.readFileSync("key");\n'
    reader = TypeScriptProject(source(project, needs + TRAINER + 'export const trainer = make("one");'))
    with pytest.raises(ArkorError, match="no such file or directory"):
        await reader.read()
    (project / "key").write_text("")
    assert await reader.read() == named("one")


async def test_concurrent_readers_share_a_build_and_its_error(project: Path) -> None:
    reader = TypeScriptProject(source(project, "BROKEN"))
    answers = await asyncio.gather(*(reader.read() for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {BadRequestError}
    assert 1 <= len((project / ".arkor" / "builds").read_text()) <= 2


async def test_a_cancelled_reader_does_not_cancel_the_build(project: Path) -> None:
    reader = TypeScriptProject(source(project, "BROKEN"))
    first = asyncio.create_task(reader.read())
    while not (project / ".arkor" / "builds").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    second = asyncio.create_task(reader.read())
    first.cancel()
    with pytest.raises(ArkorError, match="not TypeScript"):
        await second


async def test_a_missing_cli_names_the_install_command(project: Path) -> None:
    shutil.rmtree(project / "node_modules")
    text = await failure(source(project, ""))
    assert text == (
        "The arkor CLI is not installed, so src/arkor/index.ts cannot be built. "
        "npm's registry does not have it: with the package's file, run `npm install FILE.tgz` in the project."
    )


async def test_the_cli_on_path_is_used(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "bin").mkdir()
    (project / "node_modules" / ".bin" / "arkor").rename(project / "bin" / "arkor")
    monkeypatch.setenv("PATH", f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}")
    source(project, TRAINER + 'export const trainer = make("one");')
    assert await TypeScriptProject(project).read() == named("one")


async def test_missing_node_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project))
    assert "Node.js is not on PATH, and the arkor CLI needs it. Install Node.js (https://nodejs.org" in (
        await failure(source(project, ""))
    )
    (project / "package.json").write_text('{"engines": {"node": ">=22.6"}}')
    assert "Install Node.js >=22.6 (https" in await failure(project)


async def test_a_failed_build_mentions_an_outdated_node(project: Path) -> None:
    (project / "package.json").write_text('{"engines": {"node": ">=99"}}')
    text = await failure(source(project, "BROKEN"))
    assert re.search(r"\n\(Node\.js here is v\d+\.\d+\.\d+; the project asks for >=99\.\)$", text)


async def test_a_cli_that_cannot_be_started_is_an_error(project: Path) -> None:
    (project / "node_modules" / ".bin" / "arkor").write_text("#!/no/such/interpreter\n")
    assert "cannot be started (No such file or directory" in await failure(source(project, ""))


# --- the real esbuild, as the CLI calls it ----------------------------------------------------------------


async def refused(project: RealProject) -> ArkorError:
    with pytest.raises(ArkorError) as caught:
        await TypeScriptProject(project.path).read()
    return caught.value


async def test_an_error_of_the_sdk_comes_before_its_stack(
    typescript_project: RealProject,
) -> None:
    typescript_project.write(trainer("bot", "smollm2-135m-instrukt"))
    error = await refused(typescript_project)
    assert error.text == (
        "The project's code fails to load.\n"
        'Unknown model "smollm2-135m-instrukt" in the trainer "bot". '
        "Supported are smollm2-135m-instruct, unsloth/gemma-4-E4B-it."
    )
    details = str(error.extra["details"])
    assert "at createTrainer (file://" in details
    assert "xxx" not in details  # the line of minified code


@pytest.mark.usefixtures("unsupervised")
async def test_esbuild_errors_have_location_and_message(typescript_project: RealProject) -> None:
    typescript_project.write('import "./nope";\nimport "./neither";\n')
    error = await refused(typescript_project)
    assert error.text == (
        "`arkor build` failed (exit code 1).\n"
        'src/arkor/index.ts:1:7: Could not resolve "./nope"\n'
        'src/arkor/index.ts:2:7: Could not resolve "./neither"'
    )
    assert "failureErrorWithLog" in str(error.extra["details"])


async def test_rolldown_errors_have_location_and_message(project: Path) -> None:
    """A newer CLI builds with it; each of its errors is a drawing over several lines."""
    drawing = """Error: Build failed with 2 errors:

[UNRESOLVED_IMPORT] Could not resolve './nope' in src/arkor/index.ts
   ╭─[ src/arkor/index.ts:1:8 ]
   │
 1 │ import "./nope";
   │        ────┬───
   │            ╰───── Module not found.
───╯

[PARSE_ERROR] Missing initializer in const declaration
   ╭─[ src/arkor/two.ts:1:14 ]
   │
   │ Help: Add an initializer (e.g. ` = undefined`) here
───╯

    at aggregateBindingErrorsIntoJsError (file:///n/error.mjs:110:18)
"""
    script(project / "node_modules" / ".bin" / "arkor", f"import sys\nsys.exit({drawing!r})\n")
    source(project, "")
    with pytest.raises(ArkorError) as caught:
        await TypeScriptProject(project).read()
    assert caught.value.text == (
        "`arkor build` failed (exit code 1).\n"
        "src/arkor/index.ts:1:8: Could not resolve './nope' in src/arkor/index.ts\n"
        "src/arkor/two.ts:1:14: Missing initializer in const declaration"
    )
    assert "Help: Add an initializer" in str(caught.value.extra["details"])


@pytest.mark.usefixtures("unsupervised")
async def test_concurrent_studios_never_read_a_partial_bundle(
    typescript_project: RealProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two Studios: each has a lock of its own, and the file's between them."""
    monkeypatch.setenv("ARKOR_TEST_SLOW_WRITE", "200")
    typescript_project.write(trainer("one"))
    readers = [TypeScriptProject(typescript_project.path) for _ in range(3)]
    answers = await asyncio.gather(*(reader.read() for reader in readers))
    assert answers == [named("one")] * 3
    assert typescript_project.calls() == ["build"] * 3
