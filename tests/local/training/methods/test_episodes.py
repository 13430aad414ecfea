"""Episodes of an environment: conversations as tokens, TRL's losses, the same bits after a pause."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch

from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.evaluation.scorers import check_scorers
from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.methods.grpo import episodes
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure
from tests.local.harness import until
from tests.local.tiny_model import HERMES, OWN_SYNTAX, QUESTIONS, write_jsonl
from tests.local.tiny_run import events_of, pause_of, set_up
from tests.local.training.methods.test_grpo import CONFIG, compare_with_trl, measured_forecast, stirred
from tests.local.training.test_going_on import bytes_of, pausing_after, points
from tests.support.in_ci import in_ci

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationSet
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.run import TrainingLoop
    from tests.local.harness import Backend

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

ENVIRONMENT = '''
import os
import random

TOOL = {
    "name": "look_up",
    "description": "Look a parcel up.",
    "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
}


class Desk:
    tools = [TOOL]

    def reset(self, row):
        self.place, self.called = row["place"], []
        self.task = random.randrange(100)
        return f" Task {self.task}."

    def step(self, call):
        self.called.append(call["arguments"]["id"])
        return f"Parcel {self.called[-1]} is at stop {self.task}."

    def reward(self, answer):
        return len(answer) * 7 % 11 / 10 + len(self.called) / 10


class Failing(Desk):
    """Ends its process in every episode of the second row, and in every other of the third."""

    def step(self, call):
        if self.place == 1 or (self.place == 2 and call["arguments"]["id"] == "B"):
            os._exit(7)
        return super().step(call)


class Broken(Desk):
    def reset(self, row):
        raise ValueError("no parcels today")


class Without(Desk):
    reward = None
'''
EPISODES: dict[str, Any] = {**CONFIG, "environment": "env:Desk", "maxCompletionLength": 256}
CALL = '<tool_call>\n{"name": "look_up", "arguments": {"id": "%s"}}\n</tool_call>'
SAID = "It is on its way."


def examples(tiny: Path, count: int = 6, template: str = HERMES) -> list[Example]:
    rows = [{"prompt": asked, "place": place} for place, asked in enumerate(QUESTIONS[:count])]
    read = [row_of(row, f"line {place}", None, {}, forms=PROMPTS) for place, row in enumerate(rows, 1)]
    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = template
    return method("grpo").encode_all(tokenizer, read, Encoding(256), lambda _: None)[0]


def run_of(tiny: Path, folder: Path, template: str = HERMES, count: int = 6, **config: Any) -> TrainingLoop:
    folder.mkdir(exist_ok=True)
    (folder / "env.py").write_text(ENVIRONMENT)
    facts: dict[str, Any] = {"method": method("grpo"), "job_id": "job", "project": folder}
    facts["resume_plan"] = config.pop("resume_plan", None)
    facts["train"] = examples(tiny, count, template)
    run = set_up(tiny, folder, {**EPISODES, **config}, config.pop("held_out", 0), **facts)
    run.base.tokenizer.chat_template = template
    run.base = replace(run.base, context=1024)  # calls of this vocabulary take many tokens
    return run


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    return Script(monkeypatch)


class Script:
    """Lets the model write ``answers``, by the episode's number and turn, up to their end tokens.

    An untrained model calls no tool; what it writes is chosen here, and all else is as it would be.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[list[str]] = []
        self.starts: dict[int, list[int]] = {}
        monkeypatch.setattr("arkor_dev.local.training.methods.grpo.episodes.drawn", self._drawn)
        played = episodes.EpisodePlayer._all

        def all_of(player: Any, model: Any, prompts: Any, seed: str, choose: Any) -> Any:
            tokenizer = player._tokenizer
            tokens = [
                [tokenizer(f"{text}<|im_end|>", add_special_tokens=False)["input_ids"] for text in turns]
                for turns in self.answers
            ]

            def scripted(logits: Any, conversations: Sequence[Any]) -> list[int]:
                choose(logits, conversations)
                flat = [list(chain(*tokens[each.index % len(tokens)])) for each in conversations]
                return [
                    one[min(each.written, len(one) - 1)]
                    for one, each in zip(flat, conversations, strict=True)
                ]

            return played(player, model, prompts, seed, scripted)

        monkeypatch.setattr(episodes.EpisodePlayer, "_all", all_of)

    def _drawn(self, logits: Any, numbers: Any, temperature: float) -> Any:
        assert logits.shape[0] == len(numbers)
        return torch.zeros(len(numbers), 1, dtype=torch.long)


MIXED = [
    [CALL % "A", SAID],
    [SAID],
    [CALL % "B", CALL % "C", "Done."],
    [f"{CALL % 'A'}\n{CALL % 'B'}", "Both."],
]


def learned_text(run: TrainingLoop, rollout: Any) -> list[str]:
    """The learned parts of an episode, as texts."""
    parts: list[list[int]] = []
    for token, label, before in zip(rollout.ids, rollout.labels, [IGNORED, *rollout.labels], strict=False):
        if label == IGNORED:
            continue
        if before == IGNORED:
            parts.append([])
        parts[-1].append(token)
    return [run.base.tokenizer.decode(part) for part in parts]


def test_only_what_the_model_wrote_is_learned(tiny: Path, tmp_path: Path, script: Script) -> None:
    script.answers = MIXED
    run = run_of(tiny, tmp_path)
    run.begin()
    loss: Any = run.loss
    (group,) = loss._answering.sampled(1, run.train[:1]).groups
    run.loss.close()
    for rollout, turns in zip(group, MIXED, strict=True):
        assert learned_text(run, rollout) == [f"{text}<|im_end|>" for text in turns]
        assert [len(turn.calls) for turn in rollout.episode.turns] == [
            text.count("<tool_call>") for text in turns
        ]
    task = group[0].episode.observation
    assert {rollout.episode.observation for rollout in group} == {task}, "a group has one task"
    # The whole conversation, rendered at once, is the same text.
    number = task.strip(" Task.")
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"{QUESTIONS[0]}{task}"}]
    for name in "BC":
        call = {"type": "function", "function": {"name": "look_up", "arguments": {"id": name}}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        said = f"Parcel {name} is at stop {number}."
        messages.append({"role": "tool", "name": "look_up", "content": said})
    messages.append({"role": "assistant", "content": "Done."})
    whole = render(run.base.tokenizer, messages, False)
    assert whole == run.base.tokenizer.decode(group[2].ids) + "\n"
    assert [rollout.reward for rollout in group] == pytest.approx(
        [len(SAID) * 7 % 11 / 10 + 0.1, len(SAID) * 7 % 11 / 10, 35 % 11 / 10 + 0.2, 35 % 11 / 10 + 0.2]
    )


@pytest.mark.numeric
@pytest.mark.parametrize(
    "settings",
    [
        {"lossType": "dapo", "beta": 0.1},
        in_ci({"lossType": "grpo", "scaleRewards": "batch"}),
        {"lossType": "bnpo", "scaleRewards": "none", "numIterations": 2, "epsilon": 0.001},
        {"lossType": "dr_grpo", "maxEpisodeTokens": 700},
        in_ci(
            {"lossType": "dapo", "numIterations": 2, "epsilon": 1e-4, "importanceSamplingLevel": "sequence"}
        ),
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
def test_losses_and_gradients_of_episodes_equal_trl(
    settings: dict[str, Any],
    tiny: Path,
    tmp_path: Path,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script.answers = MIXED + [[SAID[:length]] for length in (3, 7, 9, 12)]
    ours = stirred(run_of(tiny, tmp_path, **settings))
    rollouts = compare_with_trl(ours, tiny, tmp_path, monkeypatch, settings, [1])
    masked = [
        label == IGNORED
        for each in rollouts
        for label, sampled in zip(each.labels, each.episode.sampled, strict=True)
        if sampled
    ]
    assert not any(masked)
    assert sum(each.episode.calls for each in rollouts) == 5


@pytest.mark.ci
def test_a_paused_run_of_episodes_resumes_to_the_same_bits(
    tiny: Path, tmp_path: Path, script: Script
) -> None:
    script.answers = MIXED
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    how: dict[str, Any] = {"beta": 0.05, "maxResampleTimes": 1, "maxSteps": 2, "batchSize": 1}
    run = run_of(tiny, whole, **how)
    assert run.run().status == "completed"
    first = run_of(tiny, parts, **how)
    pausing_after(1)(first)
    assert first.run().status == "paused"
    assert run_of(tiny, parts, resume_plan=points(parts), **how).run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)

    calls = events_of(run).calls
    started = next(fields["metadata"] for name, fields in calls if name == "training.started")
    labels = [figure["label"] for figure in started["figures"]]
    assert {"Turns", "Tool calls", "Tool errors", "Failed episodes"} <= set(labels)
    logged = next(fields for name, fields in calls if name == "training.log")
    assert (logged["turns"], logged["calls"], logged["toolErrors"]) == (2, 1.25, 0)
    assert logged["failedEpisodes"] == 0
    shown = next(fields["rollouts"] for name, fields in calls if name == "rollouts.created")
    assert [each["reward"] for each in shown] == sorted(each["reward"] for each in shown)
    assert all(each["rewards"] == {"environment": each["reward"]} for each in shown)
    turns = next(each["turns"] for each in shown if len(each["turns"]) == 3)
    number = next(each for each in shown if len(each["turns"]) == 3)["prompt"].rpartition(" Task ")[2]
    said = f"Parcel B is at stop {number}"
    made = {"name": "look_up", "arguments": '{"id": "B"}', "result": said}
    assert turns[0] == {"answer": "", "calls": [made]}
    assert turns[2] == {"answer": "Done.", "calls": []}


def test_failed_episodes_are_left_out_and_named(tiny: Path, tmp_path: Path, script: Script) -> None:
    script.answers = MIXED
    run = stirred(run_of(tiny, tmp_path, environment="env:Failing", batchSize=3))
    learned: list[Any] = []
    for batches in run.loss.updates(1, [list(run.train[:3])]):
        learned += [rollout for batch in batches for rollout in batch]
        assert run.learn(*batches) != 0
    run.loss.close()
    counts = [sum(rollout.where == f"line {place}" for rollout in learned) for place in (1, 2, 3)]
    assert counts == [4, 1, 2], "the second row's only episode without a call, and the third's without B"
    assert [rollout.advantage for rollout in learned if rollout.where == "line 2"] == [0]
    unseen, said = [fields for name, fields in events_of(run).calls if name == "training.message"]
    assert "does not know of look_up: describe them" in unseen["message"], "the template leaves out tools"
    assert said["message"] == (
        "5 of 12 episodes failed, from which nothing is learned. line 2: it ended its process, with exit "
        "status 7"
    )
    assert run.loss.figures()["failedEpisodes"] == pytest.approx(5 / 12)
    shown = next(fields["rollouts"] for name, fields in events_of(run).calls if name == "rollouts.created")
    assert [each.get("failure", "") for each in shown] == [
        *["it ended its process, with exit status 7"] * 2,
        *[""] * 3,
    ]
    assert all(each["rewards"] == {} and each["where"] == "line 2" for each in shown[:2])


def test_long_episodes_are_cut_in_events() -> None:
    call = episodes.CallMade("look_up", "{}", "x" * 900)
    turns = [episodes.Turn("y" * 900, [call]) for _ in range(20)]
    shown = episodes.shown_turns(turns)
    assert 0 < len(shown) < 20
    assert sum(len(turn["answer"]) + len(turn["calls"][0]["result"]) for turn in shown) <= episodes.SHOWN
    assert len(shown[0]["answer"]) == episodes.TEXT
    assert len(episodes.shown_turns([episodes.Turn("", [call] * 16)])) == 1, "the first is always shown"


def test_a_run_whose_episodes_all_fail_pauses(tiny: Path, tmp_path: Path) -> None:
    end = run_of(tiny, tmp_path, environment="env:Broken").run()
    paused = pause_of(end)
    assert paused["reason"] == "environment"
    said = paused["message"].partition(". ")
    assert said[0] == "Every episode failed (8 of 8)"
    assert said[2].partition(": ")[2] == (
        "reset() failed: ValueError: no parcels today. Correct the environment, and resume"
    )


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ("env:Desks", "env.py defines no class Desks"),
        ("environments:Desk", "environments.py"),
        ("env:Without", "The environment gives no reward"),
    ],
)
def test_an_environment_that_cannot_be_used_ends_the_job(
    environment: str, reason: str, tiny: Path, tmp_path: Path, script: Script
) -> None:
    script.answers = [[SAID]]
    run = run_of(tiny, tmp_path, environment=environment)
    with pytest.raises(JobFailure, match=reason):
        run.run()


@pytest.mark.parametrize(
    ("settings", "turns"),
    [({"maxTurns": 2}, 2), ({"maxEpisodeTokens": 80}, 1), ({"maxCompletionLength": 20}, 1)],
)
def test_limits_end_an_episode(
    settings: dict[str, Any], turns: int, tiny: Path, tmp_path: Path, script: Script
) -> None:
    script.answers = [[CALL % "A"] * 6]
    run = run_of(tiny, tmp_path, **settings)
    run.begin()
    loss: Any = run.loss
    (group,) = loss._answering.sampled(1, run.train[:1]).groups
    loss.close()
    for rollout in group:
        assert rollout.truncated
        assert len(rollout.episode.turns) == turns
        longest = settings.get("maxEpisodeTokens", 1024)
        prompt = rollout.labels.index(rollout.ids[rollout.episode.sampled.index(True)])
        assert len(rollout.ids) - prompt <= longest


def test_a_forecast_counts_whole_episodes(tiny: Path, tmp_path: Path) -> None:
    with_tools = f"{{% if tools %}}{{{{ tools | tojson }}}}{{% endif %}}{HERMES}"
    run = run_of(tiny, tmp_path, with_tools, maxEpisodeTokens=600, maxCompletionLength=50, maxTurns=3)
    run.begin()
    rows = run.train[:2]
    tools = len(prompt_with_tools(run)) - len(run.train[0].ids)
    assert tools > 50, "the tools' tokens count, which the row does not have"
    width = max(len(row.ids) for row in rows) + tools
    assert run.loss.writes(rows, learning=True) == [(width, 8, 150)], "three answers of 50 tokens"
    assert run.loss.writes(rows, learning=False) == [(width, 2, 150)]
    assert run.loss.reads(rows) == 4 * sum(len(row.ids) + tools + 600 for row in rows)
    (of_row,) = {len(row.ids) for batch in run.loss.expected([rows[:1]]) for row in batch}
    assert of_row == len(rows[0].ids) + tools + 600
    run.loss.close()


def prompt_with_tools(run: TrainingLoop) -> list[int]:
    """The tokens that the first row's episode begins with."""
    loss: Any = run.loss
    (episode,) = loss._answering._player.greedy(loss, run.train[:1])
    ids: list[int] = episode.ids[: episode.sampled.index(True)]
    return ids


def test_a_forecast_of_an_environment_that_fails_counts_the_rows_alone(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, environment="env:Broken", maxEpisodeTokens=600)
    run.begin()
    assert run.loss.reads(run.train[:1]) == 4 * (len(run.train[0].ids) + 600)
    run.loss.close()


def test_unsuitable_settings_are_refused() -> None:
    from arkor_dev.local.training.job_settings import EffectiveSettings

    scored = {"name": "right", "path": "x", "metric": "exact_match"}
    for config, says in (
        ({"environment": "env"}, "environment must be a class as module:class"),
        ({"environment": "env:Desk", "rewardFuncs": ["plain"]}, "is called plain. Available: right"),
        ({"environment": "env:Desk", "rewardWeights": [1, 2]}, "2 weights for 0 rewards"),
    ):
        with pytest.raises(JobFailure, match=says):
            method("grpo").check(EffectiveSettings({"method": "grpo", "evaluations": [scored], **config}))
    method("grpo").check(EffectiveSettings({"method": "grpo", "environment": "env:Desk"}))


def test_a_reward_function_that_asks_for_environments_is_refused(tmp_path: Path) -> None:
    """As one of TRL does: they live in processes of their own."""
    (tmp_path / "checks.py").write_text(
        "raise RuntimeError('read, not run')\n"
        "async def right(completions, *, environments, **columns): ...\n"
        "def plain(question, answer, wanted): return 1\n"
    )
    own: EvaluationSet = {"name": "right", "path": "x", "metric": "checks:right"}
    with pytest.raises(JobFailure, match=r"^right: the function checks:right has a parameter environments"):
        check_scorers([{"name": "plain", "path": "x", "metric": "checks:plain"}, own], tmp_path)
    for metric in ("checks:plain", "checks:gone", "gone:right", "exact_match"):
        check_scorers([{**own, "metric": metric}], tmp_path)
    (tmp_path / "checks.py").write_text("def right(environments: ...\n")
    check_scorers([own], tmp_path)


def test_a_job_is_judged_by_episodes_on_rows_that_it_has_not_seen(
    shared: Backend, shared_project: Path
) -> None:
    rows = [{"prompt": asked, "place": place} for place, asked in enumerate(QUESTIONS[:20])]
    write_jsonl(shared_project / "data" / "prompts.jsonl", rows)
    judged = "\n\nclass Chance(Desk):\n    def reward(self):\n        return random.random() < 0.5\n"
    (shared_project / "env.py").write_text(ENVIRONMENT + judged)
    model = shutil.copytree(shared_project / "models" / "tiny", shared_project / "models" / "own-syntax")
    (model / "chat_template.jinja").write_text(OWN_SYNTAX)
    config = {
        "method": "grpo",
        "model": "./models/own-syntax",
        "datasetSource": {"type": "file", "path": "data/prompts.jsonl"},
        "environment": "env:Chance",
        "datasetSplit": 0.3,
        "maxSteps": 2,
        "evalSteps": 2,
        "batchSize": 2,
        "numGenerations": 4,
        "maxCompletionLength": 8,
        "maxEpisodeTokens": 64,
        "samples": "off",
        "numberFormat": "float32",
    }
    forecast = until(lambda: measured_forecast(shared, config), 120)
    assert forecast["tokens"] > 0
    job = shared.submit(config)
    frames = list(shared.events(job))
    assert shared.job(job)["status"] == "completed", frames[-1].data
    logged = [frame.json for frame in frames if frame.event == "training.log"]
    assert logged[0]["turns"] == 1
    evaluation = next(frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed")
    task = evaluation["heldOut"]
    assert task["measure"] == {"label": "Reached the goal", "unit": "", "higher": True, "rate": True}
    # Both get the same tasks, and this environment rewards nothing that a model does.
    assert 0 < task["base"] == task["adapter"] < 1
    times = round(6 * task["base"])
    assert f"reached the goal in {times} of 6 held-out episodes vs. {times} for the base" in task["sentence"]
    assert task["difference"]["low"] <= 0 <= task["difference"]["high"]
    assert 0 < logged[-1]["evalReward"] < 1
