"""One job's page: what it gave, for other programs."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect

from tests.support.fake_exports import PROOF, USAGE

from . import Scene, state, trained

HOSTILE = "\u202e<script>alert(1)</script> \x1b[31m" + "x" * 300
SHA = "5fb0b1c9" * 8
FILES = [
    {"name": name, "bytes": size, "sha256": SHA}
    for name, size in (
        ("config.json", 861),
        ("model.safetensors", 269_060_552),
        ("tokenizer.json", 3_519_512),
    )
]


async def shown(scene: Scene, *exports: dict[str, Any]) -> None:
    scene.fake.features = ["exports", "gguf"]
    job = trained(scene.fake, "support-bot")
    scene.fake.exports.looks = 1_000_000
    for number, export in enumerate(exports, 1):
        told = {
            "id": f"exp_{number:04}",
            "format": "merged",
            "createdAt": "2026-01-01T00:00:00.000Z",
            **export,
        }
        scene.fake.exports.add(job, told)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("heading", name="Export")).to_be_visible()


@state("job-export-none", "Nothing exported yet", tour="exports")
async def none(scene: Scene) -> None:
    await shown(scene)
    await expect(scene.page.get_by_role("button", name="Export merged model")).to_be_enabled()


@state(
    "job-export",
    "A merged model that answers as the trained one, and an adapter that is being written",
    tour="exports",
)
async def done(scene: Scene) -> None:
    merged = {"state": "completed", "bytes": 272_581_000, "files": FILES, "proof": PROOF}
    await shown(scene, merged, {"state": "waiting", "format": "adapter"})
    await scene.page.get_by_text("3 files").click()
    await expect(scene.page.get_by_text("model.safetensors")).to_be_visible()
    await expect(scene.page.get_by_text("Writing")).to_be_visible()


@state("job-export-onnx", "A classifier's ONNX model, and how programs run it", tour="exports")
async def onnx(scene: Scene) -> None:
    scene.fake.exports.result = "classifier"
    files = [
        {"name": name, "bytes": size, "sha256": SHA}
        for name, size in (("model.onnx", 538_090_000), ("labels.json", 408))
    ]
    proof = {
        "verdict": "same",
        "sentence": "Same as the trained model: in ONNX Runtime its outputs for 16 texts differ by 2e-06 at "
        "most, those without the adapter by 0.41.",
        "faults": [],
        "texts": 16,
        "distance": 2e-6,
        "distanceOfBase": 0.41,
        "allowed": {"distance": 1e-4},
    }
    done = {"state": "completed", "format": "onnx", "bytes": 538_090_408, "files": files, "proof": proof}
    await shown(scene, {**done, "usage": USAGE["onnx"]})
    await scene.page.get_by_text("2 files").click()
    await expect(scene.page.get_by_text("InferenceSession")).to_be_visible()
    await expect(scene.page.get_by_role("button", name="Export ONNX model")).to_be_enabled()


@state("job-export-differs", "One that is another model, and one that failed; said at length", tour="exports")
async def differs(scene: Scene) -> None:
    fault = "Its chat template writes '<|im_end|> ' where the training's writes '<|im_end|>'. " + HOSTILE
    sentence = (
        "Not the trained model: 1.3 nats per token away from it (0.002 allowed), loss 3.38 (trained 1.91) "
    )
    proof = PROOF | {
        "verdict": "differs",
        "faults": [fault, "Its answers do not end."],
        "sentence": sentence + HOSTILE,
    }
    files = [{"name": HOSTILE, "bytes": 5, "sha256": SHA}]
    failed = {
        "state": "failed",
        "error": "The export takes 14.2 GB, and the disk has 3.1 GB free: free up disk space first",
    }
    await shown(scene, {"state": "completed", "bytes": 5, "files": files, "proof": proof, "step": 20}, failed)
    await scene.page.get_by_text("1 file").click()
    await expect(scene.page.get_by_text("Its answers do not end.")).to_be_visible()


@state(
    "job-export-gguf",
    "What leaves for llama.cpp and Ollama: being chosen, being written, and there",
    tour="exports",
)
async def for_llama(scene: Scene) -> None:
    files = [
        {"name": "model.gguf", "bytes": 144_811_000, "sha256": SHA},
        {"name": "Modelfile", "bytes": 612, "sha256": SHA},
    ]
    there = {
        "state": "completed",
        "format": "ollama",
        "quantization": "q4_k_m",
        "strength": 0.5,
        "bytes": 144_811_612,
        "files": files,
        "proof": PROOF,
    }
    await shown(scene, there, {"state": "running", "format": "gguf", "quantization": "q8_0"})
    scene.fake.exports.progress = {
        "label": "Quantizing to q8_0",
        "done": 61_000_000,
        "total": 144_000_000,
        "unit": "B",
        "secondsLeft": 74.2,
    }
    await scene.page.get_by_text("Options", exact=True).click()
    await expect(scene.page.get_by_label("Quantization")).to_be_visible()
    await expect(scene.page.get_by_text("1 min 14 s left")).to_be_visible()
