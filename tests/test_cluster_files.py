"""The files of docs/cluster, with which clusters are started: they fit this package and hold no token."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
specifiers = pytest.importorskip("packaging.specifiers")

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "docs" / "cluster"
TOKEN = re.compile(r"[0-9A-Za-z+/_-]{32,}")
POD = {"automountServiceAccountToken", "containers", "tolerations"}
KNOWN: dict[str, set[str]] = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {"rayVersion", "headGroupSpec", "workerGroupSpecs"},
    "spec.headGroupSpec": {"serviceType", "rayStartParams", "template"},
    "spec.workerGroupSpecs": {
        "groupName",
        "replicas",
        "minReplicas",
        "maxReplicas",
        "rayStartParams",
        "template",
    },
}
"""The keys of a RayCluster that the manifest uses, as its CRD spells them."""


def requirements() -> dict[str, str]:
    """What a machine of a cluster installs, by name."""
    lines = (FILES / "requirements.txt").read_text().splitlines()
    return {re.split(r"[=<>]", line)[0]: line for line in lines if line and not line.startswith("#")}


def extras() -> dict[str, list[str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: dict[str, list[str]] = tomllib.load(file)["project"]["optional-dependencies"]
    return found


def ray_version() -> str:
    return requirements()["ray[default]"].partition("==")[2]


def manifest() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FILES / "kuberay.yaml").read_text())
    return found


def templates() -> list[dict[str, Any]]:
    spec = manifest()["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_what_a_machine_installs_is_what_the_extras_allow() -> None:
    needed = requirements()
    assert set(needed) == {"ray[default]", "torch", "transformers", "peft"}
    assert {needed[name] for name in ("torch", "transformers", "peft")} <= set(extras()["local"])
    [allowed] = extras()["ray"]
    assert specifiers.SpecifierSet(allowed.removeprefix("ray[default]")).contains(ray_version())


def test_the_image_is_of_that_ray_and_of_a_python_that_this_runs_on() -> None:
    text = (FILES / "Dockerfile").read_text()
    [tag] = re.findall(r"^FROM rayproject/ray:(\S+)$", text, re.MULTILINE)
    version, python = tag.split("-py3")
    assert version == ray_version() == manifest()["spec"]["rayVersion"]
    assert int(python) >= 11
    assert f"docker build -t arkor-ray:{tag} docs/cluster" in text
    assert {each["image"] for pod in templates() for each in pod["containers"]} == {f"arkor-ray:{tag}"}


def test_the_manifest_uses_no_key_that_kuberay_does_not_know() -> None:
    found = manifest()
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayCluster")
    assert set(found) == KNOWN[""]
    assert set(found["spec"]) == KNOWN["spec"]
    assert set(found["spec"]["headGroupSpec"]) == KNOWN["spec.headGroupSpec"]
    for group in found["spec"]["workerGroupSpecs"]:
        assert set(group) == KNOWN["spec.workerGroupSpecs"]
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert group["rayStartParams"] == {}
    for pod in templates():
        assert set(pod) <= POD
        for each in pod["containers"]:
            assert set(each) <= {"name", "image", "env", "ports", "resources"}


def test_every_pod_asks_for_the_secrets_token_and_nobody_outside_reaches_the_head() -> None:
    for pod in templates():
        assert pod["automountServiceAccountToken"] is False
        [container] = pod["containers"]
        env = {each["name"]: each for each in container["env"]}
        assert env["RAY_AUTH_MODE"]["value"] == "token"
        reference = {"name": "arkor-ray-token", "key": "auth_token"}
        assert env["RAY_AUTH_TOKEN"] == {
            "name": "RAY_AUTH_TOKEN",
            "valueFrom": {"secretKeyRef": reference},
        }
    head = manifest()["spec"]["headGroupSpec"]
    assert head["serviceType"] == "ClusterIP"
    assert head["rayStartParams"] == {"num-cpus": "0"}  # texts: Kubernetes refuses a number
    assert 10001 in {port["containerPort"] for port in head["template"]["spec"]["containers"][0]["ports"]}


def test_there_are_machines_without_and_with_a_gpu() -> None:
    groups = {group["groupName"]: group for group in manifest()["spec"]["workerGroupSpecs"]}
    limits = {
        name: group["template"]["spec"]["containers"][0]["resources"]["limits"]
        for name, group in groups.items()
    }
    assert {name: each.get("nvidia.com/gpu") for name, each in limits.items()} == {"cpu": None, "gpu": "1"}
    assert all(isinstance(value, str) for each in limits.values() for value in each.values())


def test_the_machine_of_skypilot_installs_the_same_and_asks_for_a_token() -> None:
    task = yaml.safe_load((FILES / "skypilot.yaml").read_text())
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}
    [(there, here)] = task["file_mounts"].items()
    assert ROOT / here == FILES / "requirements.txt"
    assert f"-r {there}" in task["setup"]
    assert task["run"].startswith("export RAY_AUTH_MODE=token\n")
    assert task["run"].count("--block") == 2  # SkyPilot takes a task that has ended for an idle machine
    assert "autostop" not in task["resources"]
    bash = shutil.which("bash")
    assert bash
    for script in (task["setup"], task["run"]):
        subprocess.run([bash, "-n"], input=script, text=True, check=True, capture_output=True)


def test_none_of_the_files_holds_a_token_and_the_page_names_all_of_them() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text()
    named = set(re.findall(r"docs/cluster/([A-Za-z.]+[a-z])", page)) | {"Dockerfile"}
    assert named == {path.name for path in FILES.iterdir()}
    for path in FILES.iterdir():
        assert not TOKEN.search(path.read_text()), path.name
