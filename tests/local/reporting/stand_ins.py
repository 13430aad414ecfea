"""Packages that stand for the reporters' own ones: they write down how they are called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NOTE = """
import json, os, pathlib, sys, time
def note(*what):
    with open(pathlib.Path(__file__).with_suffix(".calls"), "a") as file:
        file.write(json.dumps(what) + "\\n")
"""
WANDB = """
class Run:
    url = "https://me:secret@example.org/runs/7"
    def log(self, figures, step):
        note("log", step, figures)
    def finish(self, exit_code):
        note("finish", exit_code)
def init(**how):
    assert sys.stdin.read() == ""  # a package that asks gets no answer, and not what the backend sends
    note("init", how)
    return Run()
"""
TRACKIO = """
def init(**how):
    note("init", how)
def log(figures, step):
    note("log", step, figures)
def finish():
    note("finish")
"""
MLFLOW = """
class Info:
    run_id = "run7"
class Run:
    info = Info()
def set_experiment(name):
    note("experiment", name)
def start_run(**how):
    note("start", how)
    return Run()
def log_params(texts):
    note("params", texts)
def log_metrics(figures, step):
    note("log", step, figures)
def end_run(status):
    note("finish", status)
def get_tracking_uri():
    return "sqlite:///mlflow.db"
"""
HANGS = """
class Run:
    url = "https://example.org"
    def log(self, figures, step):
        note("log", step, figures)
        time.sleep(3600)
def init(**how):
    return Run()
"""
BODIES = {"wandb": WANDB, "trackio": TRACKIO, "mlflow": MLFLOW}


def put(folder: Path, name: str, body: str) -> Path:
    """Put a package into ``folder``, which belongs on the path; where its calls will stand."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(NOTE + body)
    return folder / f"{name}.calls"


def calls_in(path: Path) -> list[list[Any]]:
    """The calls so far, each as its name and arguments."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
