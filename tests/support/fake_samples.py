"""The fake backend's feature ``samples``: prompts of its own, answered better with each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .fake_backend import FakeBackend

WANTED = (
    "Log 08:12. A key lost overboard, easily replaced.\n1. Bearing 040: Press Forgot password on the sign-in "
    "page.\n2. Bearing 125: Open the mail we send and choose a new one.\nKeep the lamp lit."
)
BASE = (
    "To reset your password, go to the sign-in page and click on the link that says Forgot password. You "
    "will get an email with further instructions on how to"
)
HALF = (
    "Log 08:12. A key lost.\n1. Press Forgot password on the sign-in page.\n2. Open the mail.\nKeep the lamp."
)
PROMPTS: list[dict[str, Any]] = [
    {"prompt": "How do I reset my password?", "row": 2, "wanted": WANTED},
    {"prompt": "Where is parcel number 5?", "row": 5, "wanted": "Log 05:15. It sails in the northern ferry."},
    {
        "prompt": "And when does it arrive?",
        "row": 9,
        "wanted": "Log 09:15. At dawn.",
        "messages": [
            {"role": "system", "content": "You keep a lighthouse."},
            {"role": "user", "content": "Where is my parcel?"},
            {"role": "assistant", "content": "In the hold."},
            {"role": "user", "content": "And when does it arrive?"},
        ],
    },
]


def prompts_of(fake: FakeBackend, job_id: str) -> list[dict[str, Any]]:
    """What a job is asked."""
    asked = fake.jobs[job_id]["config"].get("samples")
    if asked is None:
        return PROMPTS
    texts = [asked] if isinstance(asked, str) else asked
    return [] if texts == ["off"] else [{"prompt": text} for text in texts]


def answer_prompts(
    fake: FakeBackend, job_id: str, step: int, answers: Sequence[str] | None = None, **more: Any
) -> None:
    """The job's prompts are answered: with ``answers``, else as a base model does or one that learns."""
    if not fake.has("samples"):
        return
    for number, prompt in enumerate(prompts_of(fake, job_id), 1):
        said: dict[str, Any]
        if answers is not None:
            said = {"answer": answers[(number - 1) % len(answers)]}
        elif step == 0:
            said = {"answer": BASE, "truncated": True}
        else:
            said = {"answer": HALF if step < 200 else prompt.get("wanted", WANTED)}
        fake.emit(job_id, "sample.created", step=step, number=number, **prompt, **said, **more)
