"""A second ``arkor-dev`` on the same project leads to the first one's page, as true processes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.cli.test_main import arkor_dev
from tests.support.daemon import running_daemon
from tests.support.processes import script
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_a_second_studio_opens_the_first(
    home: Path, tmp_path: Path, signed_in: None, held_port: Callable[[], int], unused_tcp_port: int
) -> None:
    project, seen = tmp_path / "project", tmp_path / "seen"
    browser = script(tmp_path / "browser", f"import sys\nopen({str(seen)!r}, 'w').write(repr(sys.argv[1:]))")
    address = f"http://localhost:{unused_tcp_port}"
    there = f"Studio is already open on this project: {address}"
    async with running_daemon(home, unused_tcp_port, "--project", str(project)) as daemon:
        at_home = ("--project", str(project))
        assert await arkor_dev(home, *at_home) == (0, "", f"{there}\n")
        assert not seen.exists()
        same_port = await arkor_dev(home, *at_home, "--port", str(unused_tcp_port))
        assert same_port == (0, "", f"{there}\n")
        other = held_port()
        code, out, err = await arkor_dev(home, *at_home, "--port", str(other))
        assert (code, out) == (0, "")
        assert err.startswith(f"{there} (not on port {other}: ")
        opened = await arkor_dev(home, *at_home, "--open", BROWSER=f"{browser} %s", DISPLAY=":1")
        assert opened == (0, "", f"{there}\n")
        await until(lambda: seen.exists() and seen.read_text(), 60)  # a browser is not waited for for long
        assert ast.literal_eval(seen.read_text()) == [address]
        assert daemon.token not in seen.read_text()
        # Its port is no other project's.
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        code, out, err = await arkor_dev(home, "--project", str(elsewhere), "--port", str(unused_tcp_port))
        assert (code, out) == (2, "")
        assert err == (
            f"arkor-dev: Port {unused_tcp_port} is used by the Studio that is open on {project}. "
            "Choose another with --port, or leave --port out.\n"
        )
    async with running_daemon(home, unused_tcp_port, "--project", str(project)):
        pass  # the first is gone, and so is its claim
