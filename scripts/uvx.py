"""The part of scripts/test-uvx that runs inside the stock Debian: python3 uvx.py WHEEL."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

MOST_SECONDS = 3.0
"""To the page, once everything has been downloaded."""
OPENINGS = 3
"""The fastest counts: what else the machine does is not measured."""
WAITING = 600.0


def main(wheel: str) -> int:
    """Try both ways; return the exit code."""
    os.environ["ARKOR_CLOUD_API_URL"] = "http://127.0.0.1:9"  # nothing answers there, and nobody is signed in
    os.chdir(Path.home())
    timed("pipx install uv", ["pipx", "install", "--quiet", "uv"])
    slow = []
    for name, command in (
        ("uvx --from WHEEL arkor-dev", ["uvx", "--quiet", "--from", wheel, "arkor-dev"]),
        ("pipx run --spec WHEEL arkor-dev", ["pipx", "run", "--quiet", "--spec", wheel, "arkor-dev"]),
    ):
        timed(f"{name} --version, with the download", [*command, "--version"])
        timed(f"{name} --version, again", [*command, "--version"])
        if min(page(name, command, plan=number == 0) for number in range(OPENINGS)) > MOST_SECONDS:
            slow.append(name)
    if slow:
        print(f"Slower than {MOST_SECONDS:g} s: {', '.join(slow)}")
    return 1 if slow else 0


def timed(text: str, command: list[str]) -> None:
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


def page(name: str, command: list[str], *, plan: bool) -> float:
    """Open the page, and ``plan`` the engine's installation there; return the seconds to the page."""
    began, before = time.monotonic(), processor_seconds()
    studio = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert studio.stdout
        found = next((m for line in studio.stdout if (m := re.search(r"http://localhost:\d+", line))), None)
        if found is None:
            sys.exit(f"{name} did not start")
        with urllib.request.urlopen(found[0], timeout=60) as answer:
            token = re.search(r'arkor-studio-token" content="([^"]+)"', answer.read().decode())
        seconds = time.monotonic() - began
        if token is None:
            sys.exit("The page is not Studio's")
        print(f"{seconds:6.1f} s  {name}: the page", flush=True)
        if plan:
            plan_engine(found[0], token[1])
        return seconds
    finally:
        studio.terminate()
        studio.wait(60)
        if not plan:
            print(f"          of which {processor_seconds() - before:.1f} s of the processor", flush=True)


def processor_seconds() -> float:
    """Return the processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def plan_engine(url: str, token: str) -> None:
    """Ask what the local engine's installation would fetch, as the page does for "Show the size"."""

    def setup(body: bytes | None = None) -> dict[str, Any]:
        headers = {"X-Arkor-Studio-Token": token, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/api/setup", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))

    began = time.monotonic()
    state = setup(b'{"install": false}')
    while state["state"] == "looking" and time.monotonic() - began < WAITING:
        time.sleep(0.2)
        state = setup()
    if state["state"] != "planned":
        sys.exit(f"The engine was not planned: {state}")
    print(
        f"{time.monotonic() - began:6.1f} s  the engine's plan: {' '.join(state['plan']['words'])}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
