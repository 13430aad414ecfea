"""The fake backend's feature ``exports``: done after so many looks, two small files and a proof."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from aiohttp import web

from arkor_dev.local.exports.formats import FORMATS

from .fake_checks import RefusedError, parsed, whole, wrong

if TYPE_CHECKING:
    from arkor_dev.local.exports.formats import Result

    from .fake_backend import FakeBackend

FILES = {"adapter_config.json": b'{"r": 8}', "adapter_model.safetensors": bytes(range(256)) * 4}
INSTALL = "/usr/bin/python3 -m pip install 'llama-cpp-python<0.4,>=0.3.36'"
LLAMA = ("gguf", "gguf-lora", "ollama")
LABELS = {record.name: {"label": record.label, "hint": record.hint} for record in FORMATS.values()}
QUANTIZATIONS = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0")
PROOF: dict[str, Any] = {
    "verdict": "same",
    "sentence": "Same as the trained model: loss 1.93 on 32 texts (trained 1.91, base 3.42).",
    "faults": [],
    "prompts": 4,
    "agreeingTokens": 61,
    "answerTokens": 64,
    "texts": 32,
    "tokens": 412,
    "firstChoices": 0.998,
    "sureChoices": 1.0,
    "divergence": 1.2e-4,
    "divergenceOfBase": 1.4,
    "loss": {"base": 3.42, "trained": 1.91, "exported": 1.93},
    "allowed": {"divergence": 2e-3, "sureChoices": 0.97},
}


USAGE = {
    "adapter": [
        ["In Python", 'PeftModel.from_pretrained(base, "FOLDER")'],
        ["vLLM", "vllm serve BASE --enable-lora --lora-modules NAME=FOLDER"],
    ],
    "merged": [
        ["In Python", 'AutoModelForCausalLM.from_pretrained("FOLDER")'],
        ["vLLM", "vllm serve FOLDER"],
    ],
    "onnx": [
        ["In Python", 'inputs = AutoTokenizer.from_pretrained("FOLDER")(TEXTS, return_tensors="np")'],
        ["ONNX Runtime", 'InferenceSession("FOLDER/model.onnx").run(None, dict(inputs))'],
    ],
    "gguf": [["llama.cpp", "llama-cli -m FOLDER/model.gguf"]],
    "gguf-lora": [["llama.cpp", "llama-cli -m BASE.gguf --lora FOLDER/adapter.gguf"]],
    "ollama": [["Ollama", "ollama create NAME -f FOLDER/Modelfile"]],
}


class FakeExports:
    """``looks`` is how often an export is asked for before its files are there; ``failing`` jobs' fail.

    They are verified for ``proving`` more looks; a failing job's export fails after these.

    ``proof`` is what is found, and ``files`` their content; ``named`` are the reported names, ``progress``
    how far one has come, ``lacking`` what is missing for those of llama.cpp. ``result`` is what the jobs have
    made.
    """

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.looks, self.proving = 1, 0
        self.failing: dict[str, str] = {}
        self.proof = PROOF
        self.files = dict(FILES)
        self.lacking = ""
        self.result: Result = "writer"
        self.progress: dict[str, Any] = {"label": "Writing", "total": 8, "unit": "files"}
        self.named: list[dict[str, Any]] | None = None
        self.made: dict[str, dict[str, dict[str, Any]]] = {}
        self._seen: dict[str, int] = {}
        self._count = 0

    def routes(self) -> list[web.RouteDef]:
        """The routes of the feature."""
        all_, one = "/v1/jobs/{id}/exports", "/v1/jobs/{id}/exports/{export}"
        return [
            web.post(all_, self._create),
            web.get(all_, self._list),
            web.get(one, self._get),
            web.delete(one, self._remove),
            web.get(one + "/files/{name}", self._file),
        ]

    def add(self, job_id: str, export: dict[str, Any]) -> None:
        """A job has an export; one that is not over is written with each look."""
        self._seen[export["id"]] = 0
        self.of(job_id)[export["id"]] = export

    def of(self, job_id: str) -> dict[str, dict[str, Any]]:
        """The exports of a job by their ids."""
        return self.made.setdefault(job_id, {})

    def _one(self, request: web.Request) -> dict[str, Any]:
        found = self.of(self._fake.job_of(request)["id"]).get(request.match_info["export"])
        if found is None:
            raise RefusedError(404, "There is no such export.")
        return found

    def _told(self, job_id: str, export: dict[str, Any]) -> dict[str, Any]:
        """One look further."""
        seen = self._seen[export["id"]] = self._seen[export["id"]] + 1
        if export["state"] in ("completed", "failed"):
            return export
        export["state"] = "running"
        export["progress"] = {"done": seen, **self.progress}
        over = seen > self.looks + self.proving
        if job_id in self.failing and (over or not self.proving):
            export |= {"state": "failed", "error": self.failing[job_id]}
            export.pop("files", None)
        elif seen > self.looks:
            entries = [
                {"name": name, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
                for name, body in self.files.items()
            ]
            files = entries if self.named is None else self.named
            size = sum(map(len, self.files.values()))
            export |= {"state": "verifying", "bytes": size, "files": files}
            if over:
                usage = FORMATS[export["format"]].usage[self.result]
                export |= {"state": "completed", "proof": self.proof, "usage": USAGE[export["format"]]}
                export["hubUsage"] = [list(line) for line in usage.hub]
                del export["progress"]
        return export

    def _plain(self) -> tuple[str, ...]:
        return ("adapter", "merged", *(["onnx"] if self.result in FORMATS["onnx"].usage else []))

    async def _create(self, request: web.Request) -> web.Response:
        job, body = self._fake.job_of(request), parsed(await request.read())
        step, format_ = body.get("step"), body.get("format")
        llama = LLAMA if self._fake.has("gguf") else ()
        if format_ not in (*self._plain(), *llama):
            wrong("format has to be one that this backend has.")
        quantization, strength = body.get("quantization"), body.get("strength", 1)
        if quantization is not None and (
            format_ not in ("gguf", "ollama") or quantization not in QUANTIZATIONS
        ):
            wrong("quantization has to be one of a GGUF file's.")
        if type(strength) not in (int, float) or not 0 < strength <= 1.5:
            wrong("strength has to be a number above 0, up to 1.5.")
        if strength != 1 and format_ == "adapter":
            wrong("An adapter is exported unchanged.")
        whole(body, "step", 1)
        if format_ in LLAMA and self.lacking:
            raise RefusedError(409, self.lacking)
        self._fake.check_result(job, step)
        self._count += 1
        export = {
            "id": f"exp_{self._count:04}",
            "format": format_,
            "state": "waiting",
            "createdAt": f"2026-01-01T00:00:{self._count % 60:02}.000Z",
            **({} if step is None else {"step": step}),
            **({} if strength == 1 else {"strength": strength}),
            **({"quantization": quantization or "q8_0"} if format_ in ("gguf", "ollama") else {}),
        }
        self.add(job["id"], export)
        return web.json_response({"export": export}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        job_id = self._fake.job_of(request)["id"]
        told = [self._told(job_id, export) for export in self.of(job_id).values()]
        llama = LLAMA if self._fake.has("gguf") else ()
        formats = [{"format": name, **LABELS[name]} for name in self._plain()]
        lacking = {"problem": self.lacking, "install": INSTALL} if self.lacking else {}
        formats += [{"format": name, **LABELS[name], **lacking} for name in llama]
        return web.json_response({"exports": told[::-1], "formats": formats})

    async def _get(self, request: web.Request) -> web.Response:
        export = self._one(request)
        return web.json_response({"export": self._told(self._fake.job_of(request)["id"], export)})

    async def _remove(self, request: web.Request) -> web.Response:
        export = self._one(request)
        del self.of(self._fake.job_of(request)["id"])[export["id"]]
        return web.Response(status=204)

    async def _file(self, request: web.Request) -> web.Response:
        export, name = self._one(request), request.match_info["name"]
        if export["state"] not in ("verifying", "completed") or name not in self.files:
            raise RefusedError(404, "There is no such file.")
        body, asked = self.files[name], request.http_range
        if asked.start is None and asked.stop is None:
            return web.Response(body=body, content_type="application/octet-stream")
        start, stop, _ = asked.indices(len(body))
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
        return web.Response(
            status=206, body=body[start:stop], headers=headers, content_type="application/octet-stream"
        )
