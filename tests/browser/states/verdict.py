"""One job's page: whether its adapter is better than its base, what it has forgotten, and the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from tests.support.fake_evaluation import ANSWERS, EVALUATION, GENERAL, HELD_OUT, ROWS, STRENGTHS, own_part

from . import Scene, ago, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

HOSTILE = "\u202e<script>alert(1)</script> \x1b[31m" + "x" * 300
OVERFITTED = (
    "Step 200 was better than the final adapter: loss 0.59 vs. 0.81 on the held-out rows, 95 % "
    "interval of the difference 0.11 to 0.34. The run overfitted: from step 200 on the held-out loss rose "
    "from 0.592 to 0.813, while the training loss fell from 0.710 to 0.214. It memorized its rows."
)


async def judged(scene: Scene, **changes: Any) -> str:
    scene.fake.features = ["evaluation", "replay", "strength"]
    job = trained(scene.fake, "support-bot")
    scene.fake.evaluations.judge(job, **changes)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("heading", name="Verdict")).to_be_visible()
    return job


@walk(
    {
        "job-verdict": "Better at the task, worse in general, and how sure that is",
        "job-verdict-rows": "The held-out rows side by side, those that got worse first",
        "job-verdict-answers": "What base and adapter answer to general questions, hostile and long ones too",
    },
    tour="verdict",
)
async def better(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    scene.fake.evaluations.rows = [
        {**ROWS[0], "question": HOSTILE, "wanted": "لا شيء\n" * 3, "adapter": 9.5},
        *ROWS[1:],
        {**ROWS[2], "row": 13, "question": "", "wanted": "A text of which all is learned. " * 20},
    ]
    scene.fake.evaluations.answers = [
        *ANSWERS,
        {"question": HOSTILE, "base": "لا شيء\n" * 3, "adapter": HOSTILE * 3},
        {"question": "What is two and two?", "base": "Four.", "adapter": ""},
    ]
    await judged(scene, strengths=STRENGTHS)
    await page.get_by_text("Details", exact=True).click()
    await expect(page.get_by_role("img", name="Your task: difference 1.51")).to_be_visible()
    await expect(page.get_by_role("img", name="Task loss 3.42 for the base, 1.91")).to_be_visible()
    yield
    await page.get_by_text("Held-out rows side by side").click()
    await page.get_by_text("Got worse most").click()
    await expect(page.get_by_text("6.40 worse")).to_be_visible()
    yield
    await page.get_by_text("Answers to general questions").click()
    await expect(page.get_by_text("I cannot help with that.")).to_be_visible()
    yield


@state("job-verdict-worse", "Worse than the base, overfitted, and said at length", tour="verdict")
async def worse(scene: Scene) -> None:
    difference = {"mean": -0.8, "low": -1.3, "high": -0.2}
    sentence = "Your task: worse, loss 4.22 vs. 3.42 for the base on 12 held-out rows; 99 % interval of the "
    told = {**HELD_OUT, "verdict": "worse", "difference": difference, "sentence": sentence + HOSTILE}
    told["adapter"] = 4.22
    changes = {
        "verdict": "worse",
        "sentence": "Worse at your task and in general." + HOSTILE,
        "heldOut": told,
    }
    best = {"bestStep": 200, "bestSentence": OVERFITTED, "bestVerdict": "better", "bestKept": True}
    await judged(scene, **changes, **best)


@state("job-verdict-alike", "No clear difference, with what that means", tour="verdict")
async def alike(scene: Scene) -> None:
    part = {**HELD_OUT, "verdict": "unclear", "difference": {"mean": 0.02, "low": -0.05, "high": 0.09}}
    part |= {"adapter": 3.4, "sentence": "Your task: no clear difference, loss 3.40 vs. 3.42 for the base."}
    same = {**GENERAL, "verdict": "same", "difference": {"mean": 0.0, "low": -0.008, "high": 0.008}}
    same |= {"adapter": 2.05, "sentence": "General questions: no difference that matters (less than 0.01)."}
    sentence = "No clear difference at your task (only 12 rows), as good in general."
    chosen = "The step of this adapter was chosen from 4, by its loss on 12 of the 24 held-out rows."
    choice = {
        "evaluations": 4,
        "chose": 12,
        "judged": 12,
        "sentence": f"{chosen} Only the other 12 judge it.",
    }
    turned = (
        "Forgetting budget: at step 200 with 60 % strength, the harm in general is below 0.2 nats per token "
        "with 95 % confidence (0.110, at most 0.180, on 64 questions)."
    )
    budget = {
        "maxHarm": 0.2,
        "kept": True,
        "strength": 0.6,
        "step": 200,
        "steps": 4,
        "harm": 0.11,
        "most": 0.18,
        "questions": 64,
        "sentence": f"{turned} At 70 % it may not be (at most 0.230). This holds for short questions like "
        "these, unless rare ones carry most of the harm. At your task that costs 0.31 nats (0.22 to 0.45), "
        "compared with the last step at full strength. On held-out answers it diverges from its base by 0.42 "
        "nats per token (KL).",
    }
    figures = {"heldOut": part, "general": same, "choice": choice, "budget": budget}
    await judged(scene, verdict="unclear", sentence=sentence, **figures)
    await expect(scene.page.get_by_text(chosen)).to_be_visible()
    await expect(scene.page.get_by_text(turned)).to_be_visible()
    final = scene.page.get_by_role("row", name="Final adapter step 200, 60 % strength")
    await expect(final).to_contain_text("3.400")  # not the loss of the step, which has full strength
    await scene.page.get_by_text("Details", exact=True).click()


@state(
    "job-verdict-sets",
    "The project's own sets, by answers, by a function of its own and by loss",
    tour="verdict",
)
async def sets(scene: Scene) -> None:
    told = [
        {"name": "refunds", "metric": "exact_match"},
        {"name": "tone of voice", "metric": "checks:polite"},
        {"name": "contracts", "metric": "loss"},
        {"name": HOSTILE, "metric": "regex"},
    ]
    found = [own_part(each) for each in told]
    found[1] |= {
        "verdict": "same",
        "difference": {"mean": 0.01, "low": -0.06, "high": 0.08},
        "sentence": "tone of voice: no clear difference, mean score 0.61 vs. 0.60 for the base on 64 rows; "
        "95 % interval of the difference -0.06 to 0.08.",
    }
    await judged(scene, sets=found)
    await expect(scene.page.get_by_text("refunds: better, 33 of 40")).to_be_visible()


LABELS = [
    "delivery", "billing", "returns and refunds", "damaged on arrival", "account and password",
    "a label with a name that is far too long to be shown in one line of a table", "شكوى", "other",
]  # fmt: skip
TEXTS = ("My parcel has not arrived.", "I was charged twice.", "Can I send it back?", "The box was open.")


def classified(labels: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A classifier's part of a verdict, and its rows: of each label most are right, and some are the next."""
    found = {(label, label): 31 + 7 * at for at, label in enumerate(labels)}
    for at, label in enumerate(labels):
        found[label, labels[at - 1]] = at + 1
    rows: list[dict[str, Any]] = []
    for label, predicted in found:
        for _ in range(4 if label == predicted else 1):
            number = len(rows) + 1
            rows.append(
                {
                    **ROWS[0],
                    "row": number,
                    "where": f"data/tickets.jsonl, line {3 * number}",
                    "question": TEXTS[number % len(TEXTS)],
                    "wanted": label,
                    "baseAnswer": labels[-1],
                    "adapterAnswer": predicted,
                    "base": float(label == labels[-1]),
                    "adapter": float(label == predicted),
                    "confidence": 0.5 + (7 * number % 50) / 100,
                }
            )
    sentences = [
        (
            "Compared with the base's zero-shot choice: better, accuracy 0.90 vs. 0.41 on 100 held-out rows; "
            "95 % interval of the difference 0.39 to 0.58."
        ),
        (
            "Compared with TF-IDF with logistic regression: no clear difference, accuracy 0.90 vs. 0.89 on "
            "444 held-out rows; 95 % interval of the difference -0.01 to 0.03."
        ),
        (
            "Its probabilities are off by 2 percentage points on average (expected calibration error) with a "
            "temperature of 1.7, which /v1/classify applies, and by 7 without."
        ),
    ]
    share = {"share": 0.9, "low": 0.87, "high": 0.93}
    part = {
        **HELD_OUT,
        "rows": sum(found.values()),
        "base": 0.18,
        "adapter": 0.9,
        "difference": {"mean": 0.72, "low": 0.68, "high": 0.76},
        "measure": {"label": "Accuracy", "unit": "", "higher": True},
        "sentence": f'Your task: better, accuracy 0.90 vs. 0.18 for always answering "{labels[-1]}".',
        "classified": {
            "majority": labels[-1],
            "accuracy": share,
            "majorityAccuracy": 0.18,
            "macroF1": share,
            "majorityMacroF1": 0.04,
            "labels": len(labels),
            "confusion": [
                {"label": label, "predicted": predicted, "rows": count}
                for (label, predicted), count in found.items()
            ],
            "baselines": [],
            "sentences": sentences,
        },
    }
    return part, rows


@walk(
    {
        "job-confusion": "A classifier's confusion matrix, and the rows it is least sure of",
        "job-confusion-cell": "The rows of a pressed number",
        "job-confusion-many": "A confusion matrix of forty labels",
    },
    tour="verdict",
)
async def confusion(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    told = (
        "Better at your task. It is not clearly better than TF-IDF with logistic regression, so this task "
        "may need no language model."
    )
    part, scene.fake.evaluations.rows = classified(LABELS)
    await judged(scene, verdict="better", sentence=told, heldOut=part, general={}, split={})
    await expect(page.get_by_text("may need no language model")).to_be_visible()
    await page.get_by_text("Confusion matrix").click()
    await expect(page.get_by_role("heading", name="The rows it is least sure of")).to_be_visible()
    await expect(page.get_by_text("with 5").first).to_be_visible()
    yield
    await page.get_by_role(
        "button", name="2 rows with the label billing, predicted as delivery", exact=True
    ).click()
    await expect(page.get_by_role("heading", name="2 rows with the label billing")).to_be_visible()
    await expect(page.get_by_text("The backend kept 1 of these rows.")).to_be_visible()
    yield
    part, scene.fake.evaluations.rows = classified([f"{name} {at}" for at in range(5) for name in LABELS])
    await judged(scene, verdict="better", sentence=told, heldOut=part, general={}, split={})
    await page.get_by_text("Confusion matrix").click()
    await expect(page.get_by_role("heading", name="The rows it is least sure of")).to_be_visible()
    yield


@state("job-verdict-ask", "A job from before, which can be compared by a press", tour="verdict")
async def ask(scene: Scene) -> None:
    scene.fake.features = ["evaluation"]
    job = trained(scene.fake, "support-bot")
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("button", name="Compare with the base model")).to_be_visible()


@state("jobs-verdicts", "Jobs by their verdict, the best first")
async def table(scene: Scene) -> None:
    scene.fake.features = ["evaluation"]
    for number, verdict in enumerate(("mixed", "better", "same", "worse", "unclear", "<b>odd</b>", None)):
        known: dict[str, Any] = {"createdAt": ago(600 * number + 60), "metrics": {"bestEvalLoss": 0.7}}
        if verdict:
            known["evaluation"] = {**EVALUATION, "verdict": verdict}
        scene.fake.add_job("completed", name=f"support-bot-{number}", **known)
    await scene.go("/#/jobs?sort=-verdict")
    await expect(scene.page.get_by_role("columnheader", name="Verdict")).to_be_visible()
