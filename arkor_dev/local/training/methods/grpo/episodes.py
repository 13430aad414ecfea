"""Plays episodes: the model answers, its tool calls are made, and it reads what the tools say, until it
answers without a call.

The episodes of a batch take their turns together: all answer, then all environments act. So neither the
tokens nor their random numbers depend on how long an environment takes. Imports torch: for workers only.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from arkor_dev.contract.events import TRAINING_MESSAGE, RolloutCall, RolloutTurn, TrainingMessage
from arkor_dev.local.environments.messages import EnvironmentCall
from arkor_dev.local.environments.pool import EnvironmentPool
from arkor_dev.local.modeling.chat_template import end_ids, render
from arkor_dev.local.modeling.tool_calls import MARKS, ToolCalls, tool_names
from arkor_dev.local.training.methods.sampling import AT_ONCE, drawn
from arkor_dev.local.workers.errors import JobFailure

from .continuation import ToolContinuation
from .turns import TokenizedConversation, TurnGenerator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from arkor_dev.local.environments.pool import Episode
    from arkor_dev.local.training.greedy import Answering
    from arkor_dev.local.training.job_settings import MethodSettings
    from arkor_dev.local.training.rows.prompts import PromptExample
    from arkor_dev.local.training.run_context import RunContext

    from .turns import Choose

TOKENS: Final = 16_384
"""Maximum number of tokens in the episodes that are played at once."""
MOST_CALLS: Final = 16
"""Maximum number of calls in one answer; the others have an error as their result."""
TEXT: Final = 600
SHOWN: Final = 4000
"""Maximum number of characters of each text in an event, and of all those of an episode."""


@dataclass(frozen=True, slots=True)
class CallMade:
    """A tool call, its ``arguments`` as text, and what the tool said. ``error``: it was called wrongly."""

    name: str
    arguments: str
    result: str
    error: bool = False


@dataclass(slots=True)
class Turn:
    """An answer's text without its calls, and the calls."""

    answer: str
    calls: list[CallMade] = field(default_factory=list)


@dataclass(eq=False)
class PlayedEpisode:
    """An episode of ``prompt``. ``ids`` are its tokens, of which ``labels`` marks those that were sampled.

    ``observation`` is what the environment added to the prompt. ``truncated``: a limit ended it. ``reward``
    is the environment's own, None without one. ``failure`` says why the environment failed.
    """

    prompt: PromptExample
    ids: list[int] = field(default_factory=list)
    sampled: list[bool] = field(default_factory=list)
    observation: str = ""
    turns: list[Turn] = field(default_factory=list)
    truncated: bool = False
    errors: int = 0
    reward: float | None = None
    failure: str = ""

    @property
    def calls(self) -> int:
        """The number of calls that were made."""
        return sum(len(turn.calls) for turn in self.turns)

    @property
    def answer(self) -> str:
        """The last answer's text; empty if it was cut, or has calls only."""
        return "" if self.truncated or not self.turns else self.turns[-1].answer


class EpisodePlayer:
    """Plays episodes of the environment that ``settings`` name, with the model of ``run``."""

    def __init__(self, run: RunContext, settings: MethodSettings) -> None:
        self._run, self._settings = run, settings
        self._tokenizer = run.base.tokenizer
        self._ends = end_ids(self._tokenizer, run.base.model)
        self._continuation: ToolContinuation | None = None
        self._has_looked = False
        self._pool = EnvironmentPool(settings["environment"], run.project, run.stop.requested)

    def close(self) -> None:
        """End the environment's processes."""
        self._pool.close()

    def sampled(
        self, model: Answering, step: int, prompts: Sequence[PromptExample], draw: int = 0
    ) -> list[PlayedEpisode]:
        """Play an episode on each of a step's prompts. Raises Stopped if the job must stop.

        ``draw`` is the number of the step's earlier calls. Random numbers depend on the seed, the step, the
        draw and the episode's index; the environment's on the first three and the row, so that all episodes
        of a group have the same task.
        """
        numbers = np.random.default_rng([abs(self._run.seed), step, draw]).random(
            (len(prompts), self._settings["maxEpisodeTokens"])
        )

        def choose(logits: Tensor, conversations: Sequence[TokenizedConversation]) -> list[int]:
            row = numbers[[each.index for each in conversations], [each.written for each in conversations]]
            tokens: list[int] = drawn(logits, row, self._settings["temperature"])[:, 0].tolist()
            return tokens

        return self._all(model, prompts, f"{step}/{draw}", choose)

    def greedy(self, model: Answering, prompts: Sequence[PromptExample]) -> list[PlayedEpisode]:
        """Play an episode on each prompt, with the likeliest tokens."""

        def choose(logits: Tensor, _: Sequence[TokenizedConversation]) -> list[int]:
            tokens: list[int] = logits.argmax(-1).tolist()
            return tokens

        return self._all(model, prompts, "greedy", choose)

    def added(self, prompt: PromptExample) -> int:
        """Return how many tokens the tools and the first observation add to ``prompt``; 0 if they fail."""
        (begun,) = self._pool.begin([(prompt.row, _seed(self._run.seed, "forecast", prompt.where))])
        each = _Playing(PlayedEpisode(prompt), begun, TokenizedConversation(0, []))
        self._begin(each)
        begun.end()
        return max(0, len(each.played.ids) - len(prompt.ids))

    def _all(
        self, model: Answering, prompts: Sequence[PromptExample], seed: str, choose: Choose
    ) -> list[PlayedEpisode]:
        episodes: list[PlayedEpisode] = []
        with model.answering() as bare:
            turns = TurnGenerator(bare, self._ends, choose, self._run.stop.requested)
            for start, end in self._batches(prompts):
                episodes += self._played(turns, prompts[start:end], seed, start)
        return episodes

    def _batches(self, prompts: Sequence[PromptExample]) -> Iterator[tuple[int, int]]:
        """Yield ranges of prompts whose episodes are played at once, in order: groups stay together."""
        longest = self._settings["maxEpisodeTokens"]
        start, width = 0, 0
        for index, prompt in enumerate(prompts):
            width = max(width, len(prompt.ids) + longest)
            count = index + 1 - start
            if count > 1 and (count > AT_ONCE or count * width > TOKENS):
                yield start, index
                start, width = index, len(prompt.ids) + longest
        yield start, len(prompts)

    def _played(
        self, turns: TurnGenerator, prompts: Sequence[PromptExample], seed: str, first: int
    ) -> list[PlayedEpisode]:
        begun = self._pool.begin(
            [(prompt.row, _seed(self._run.seed, seed, prompt.where)) for prompt in prompts]
        )
        playing = [
            _Playing(PlayedEpisode(prompt), episode, TokenizedConversation(first + index, []))
            for index, (prompt, episode) in enumerate(zip(prompts, begun, strict=True))
        ]
        active = [each for each in playing if self._begin(each)]
        while active:
            answers = turns.generate(
                [each.conversation for each in active], [self._room(each) for each in active]
            )
            calling = [
                each for each, tokens in zip(active, answers, strict=True) if self._answered(each, tokens)
            ]
            self._pool.step({each.episode: each.calls for each in calling})
            active = [each for each in calling if self._acted(each)]
        for each in playing:
            each.conversation.layers = []  # frees memory while rewards are computed
        self._pool.finish({each.episode: each.played.answer for each in playing if not each.episode.failed})
        for each in playing:
            each.played.failure, each.played.reward = each.episode.failure, each.episode.reward
        return [each.played for each in playing]

    def _begin(self, each: _Playing) -> bool:
        """Render the prompt with the tools and the first observation; return whether the model can answer."""
        played, episode = each.played, each.episode
        if not episode.failed and episode.done:
            episode.fail("the episode was over before the first answer")
        if episode.failed:
            played.ids, played.sampled = list(played.prompt.ids), [False] * len(played.prompt.ids)
            return False
        played.observation = episode.observation or ""
        messages = observed(played.prompt.messages, played.observation)
        text = render(self._tokenizer, messages, add_generation_prompt=True, tools=episode.tools)
        self._say_unseen(text, messages, episode.tools)
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) >= self._run.base.context:
            raise JobFailure(
                f"{played.prompt.where}: the prompt with the tools is {len(ids)} tokens long, and the model "
                f"reads {self._run.base.context}: shorten the prompt, or what the environment adds to it"
            )
        played.ids, played.sampled = ids, [False] * len(ids)
        each.prompt_tokens, each.conversation.unread = len(ids), list(ids)
        self._continuation = self._continuation or ToolContinuation(self._tokenizer, self._ends)
        return True

    def _say_unseen(self, text: str, messages: Sequence[object], tools: Sequence[object]) -> None:
        """Report once if neither the chat template nor the row shows the tools to the model."""
        if self._has_looked:
            return
        self._has_looked = True
        unseen = [name for name in sorted(tool_names(tools)) if name not in text]
        if unseen and text == render(self._tokenizer, messages, add_generation_prompt=True):
            message = TrainingMessage(
                type=TRAINING_MESSAGE,
                code="tools-unseen",
                message="The model's chat template leaves out the tools, so the model does not know of "
                f"{', '.join(unseen)[:TEXT]}: describe them, and how to call them, in a system message of "
                "the rows",
            )
            self._run.emit(message)

    def _left(self, each: _Playing) -> int:
        """Return how many tokens an episode may still have."""
        now = len(each.played.ids)
        allowed: int = min(self._settings["maxEpisodeTokens"] + each.prompt_tokens, self._run.base.context)
        return allowed - now

    def _room(self, each: _Playing) -> int:
        """Return how many tokens the next answer may have."""
        return min(int(self._settings["maxCompletionLength"]), self._left(each))

    def _answered(self, each: _Playing, tokens: Sequence[int]) -> bool:
        """Add an answer; return whether it calls a tool."""
        played = each.played
        played.ids += tokens
        played.sampled += [True] * len(tokens)
        ended = tokens[-1] in self._ends
        text = self._tokenizer.decode(
            tokens[:-1] if ended else tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        if not ended:
            played.turns.append(Turn(text.strip()))
            played.truncated = True
            return False
        parser = ToolCalls(tool_names(each.episode.tools))
        before = parser.push(text)
        rest, calls = parser.end()
        each.made = [(call["function"]["name"], call["function"]["arguments"]) for call in calls]
        each.calls = [EnvironmentCall(name, _object(arguments)) for name, arguments in each.made[:MOST_CALLS]]
        played.turns.append(Turn((before + rest).strip()))
        played.errors += not calls and any(mark in text for mark in MARKS)  # a call that cannot be read
        return bool(calls)

    def _acted(self, each: _Playing) -> bool:
        """Add what the tools said; return whether the model answers again."""
        played, episode = each.played, each.episode
        if episode.failed:
            return False
        for index, (name, arguments) in enumerate(each.made):
            if index < len(episode.results):
                result, error = episode.results[index].text, episode.results[index].error
            else:
                result, error = f"error: more than {MOST_CALLS} calls in one answer", True
            played.turns[-1].calls.append(CallMade(name, arguments, result, error))
            played.errors += error
        if episode.done:
            return False
        assert self._continuation
        said = self._continuation.tokens([(call.name, call.result) for call in played.turns[-1].calls])
        # Results that do not fit are left out, as in TRL: the model has not read them.
        if len(played.turns) >= self._settings["maxTurns"] or len(said) >= self._left(each):
            played.truncated = True
            return False
        played.ids += said
        played.sampled += [False] * len(said)
        each.conversation.unread += said
        return True


@dataclass(eq=False)
class _Playing:
    """An episode that is being played: ``made`` are the calls of the last answer, by name and arguments."""

    played: PlayedEpisode
    episode: Episode
    conversation: TokenizedConversation
    prompt_tokens: int = 0
    calls: list[EnvironmentCall] = field(default_factory=list)
    made: list[tuple[str, str]] = field(default_factory=list)


def observed(messages: Sequence[Mapping[str, object]], observation: str) -> list[dict[str, object]]:
    """Return a prompt with an environment's first observation, added to its last message as in TRL."""
    prompt = [dict(message) for message in messages]
    if observation and prompt[-1]["role"] == "user":
        prompt[-1]["content"] = f"{prompt[-1]['content']}{observation}"
    elif observation:
        prompt.append({"role": "user", "content": observation})
    return prompt


def shown_turns(turns: Sequence[Turn]) -> list[RolloutTurn]:
    """Return an episode's turns for an event: as many of the first ones as are not too long together."""
    shown: list[RolloutTurn] = []
    left = SHOWN
    for turn in turns:
        calls = []
        for call in turn.calls:
            entry = RolloutCall(
                name=call.name[:TEXT], arguments=call.arguments[:TEXT], result=call.result[:TEXT]
            )
            if call.error:
                entry["error"] = True
            calls.append(entry)
            left -= len(call.name[:TEXT]) + len(entry["arguments"]) + len(entry["result"])
        left -= len(turn.answer[:TEXT])
        if left < 0 and shown:
            break
        shown.append(RolloutTurn(answer=turn.answer[:TEXT], calls=calls))
    return shown


def _seed(seed: int, step: str, where: str) -> int:
    """Return the seed of an environment's random numbers, 32 bits."""
    return random.Random(f"{seed}/{step}/{where}").getrandbits(32)  # noqa: S311 - not for secrecy


def _object(arguments: str) -> dict[str, object] | None:
    try:
        value = json.loads(arguments or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(name: str) -> None:
    raise ValueError(name)
