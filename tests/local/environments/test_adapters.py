"""Environments of three shapes look alike: what their tools say, their rewards, and what they get wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from arkor_dev.local.environments.adapters import (
    Environment,
    EnvironmentFault,
    argument_fault,
    checked_reward,
    environment_of,
    has_functions,
)
from arkor_dev.local.environments.messages import EnvironmentCall, Result

ADD = {
    "name": "add",
    "description": "Add.",
    "parameters": {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
}


class Own:
    tools = (ADD,)
    done = False

    def reset(self, row: dict[str, Any]) -> str:
        self.sum: int = row["start"]
        return f"The sum is {self.sum}."

    def step(self, call: dict[str, Any]) -> str:
        self.sum += call["arguments"]["count"]
        self.done = self.sum >= 10
        return f"{call['name']}: {self.sum}"

    def reward(self, answer: str) -> bool:
        return str(self.sum) in answer


class Trl:
    def reset(self, start: int, **columns: Any) -> None:
        self.sum, self.columns = start, columns

    def add(self, count: int) -> int:
        """Add to the sum.

        Args:
            count: How much.
        """
        if count < 0:
            raise ValueError("only more")
        self.sum += count
        return self.sum

    async def get_reward(self) -> float:
        return self.sum / 10

    def _hidden(self) -> None: ...


@dataclasses.dataclass
class Action:
    count: int
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Observation:
    text: str
    reward: float | None = None
    done: bool = False


class Open:
    """As OpenEnv's environments are."""

    def reset(self) -> Observation:
        self.sum = 0
        return Observation("The sum is 0.")

    def step(self, action: Action) -> Observation:
        """Add to the sum."""
        self.sum += action.count
        return Observation(f"The sum is {self.sum}.", float(action.count), self.sum >= 10)


ROW: dict[str, Any] = {"start": 3, "prompt": [], "answer": "10"}


def begun(make: Any, row: dict[str, Any] = ROW) -> tuple[Environment, str | None]:
    environment = environment_of(make)
    return environment, environment.reset(row)


def test_an_environment_with_tools_and_step() -> None:
    environment, observation = begun(Own)
    assert observation == "The sum is 3."
    assert environment.tools == [{"type": "function", "function": ADD}]
    seen = [(environment.step(EnvironmentCall("add", {"count": 4})), environment.done) for _ in range(2)]
    assert seen == [(Result("add: 7"), False), (Result("add: 11"), True)]
    assert (environment.reward("It is 11."), environment.reward("")) == (1, 0)


def test_trls_environment_factory() -> None:
    pytest.importorskip("transformers")
    environment, observation = begun(Trl)
    assert observation is None
    (tool,) = environment.tools
    assert tool["function"]["name"] == "add"
    assert tool["function"]["parameters"]["properties"]["count"] == {
        "type": "integer",
        "description": "How much.",
    }
    assert environment.step(EnvironmentCall("add", {"count": 4})) == Result("7")
    assert environment.step(EnvironmentCall("add", {"count": -1})) == Result(
        "{'error': 'only more'}", error=True
    )
    assert environment.reward("") == 0.7


def test_openenvs_reset_and_step() -> None:
    environment, observation = begun(Open)
    assert observation == '{"text": "The sum is 0."}'
    (tool,) = environment.tools
    assert tool["function"]["parameters"]["properties"] == {"count": {"type": "integer"}}
    seen = [
        (environment.step(EnvironmentCall("step", {"count": 7})).text, environment.done) for _ in range(2)
    ]
    assert seen == [('{"text": "The sum is 7."}', False), ('{"text": "The sum is 14."}', True)]
    assert environment.reward("") == 14


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (EnvironmentCall("add", None), "error: the arguments are not a JSON object"),
        (EnvironmentCall("take", {}), "error: no tool is called take"),
        (EnvironmentCall("add", {}), "error: the argument count is missing"),
        (EnvironmentCall("add", {"count": "4"}), "error: the argument count must be integer"),
        (EnvironmentCall("add", {"count": 4, "to": 1}), "error: there is no argument to"),
    ],
)
def test_the_model_is_told_what_it_calls_wrongly(call: EnvironmentCall, text: str) -> None:
    environment, _ = begun(Own)
    assert environment.step(call) == Result(text, error=True)


def test_arguments_of_a_schema_with_unknown_keywords_are_left_to_the_environment() -> None:
    parameters = {"properties": {"day": {"type": "string", "format": "date"}}, "required": ["day"]}
    assert argument_fault({"day": 3}, parameters) is None
    assert argument_fault({"day": "3"}, {"properties": {"day": {"enum": ["1", "2"]}}}) == (
        "the argument day must be 1, 2"
    )


def test_functions_as_tools_have_schemas() -> None:
    pytest.importorskip("transformers")

    def look_up(parcel: str) -> str:
        """Look a parcel up.

        Args:
            parcel: Its number.
        """
        return parcel

    environment, _ = begun(type("Desk", (Own,), {"tools": [look_up]}))
    assert environment.tools[0]["function"]["parameters"]["required"] == ["parcel"]
    assert has_functions(Trl)
    assert not has_functions(Own)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reset": None}, "has no method reset"),
        ({"reset": lambda self, row: 7}, "reset() must return text or None, not 7"),
        ({"tools": "add"}, "tools must be a list, not 'add'"),
        ({"tools": []}, "it has no tools"),
        ({"tools": [{"description": "?"}]}, "a tool must be a function, or a JSON schema with a name"),
        ({"tools": [ADD, ADD]}, "two tools are called add"),
        ({"tools": [{**ADD, "parameters": 1}]}, "the parameters of the tool add must be a JSON schema"),
        ({"tools": [{**ADD, "more": {1}}]}, "tools are not JSON"),
        ({"tools": [{**ADD, "description": "x" * 70_000}]}, "more than 64,000 characters"),
        ({"tools": [{**ADD, "name": str(n)} for n in range(65)]}, "it has more than 64 tools"),
    ],
)
def test_a_wrong_environment_is_refused_with_a_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(EnvironmentFault) as fault:
        begun(type("Wrong", (Own,), changes))
    assert reason in str(fault.value)


def test_a_step_must_return_text() -> None:
    environment, _ = begun(type("Wrong", (Own,), {"step": lambda self, call: (each for each in "text")}))
    with pytest.raises(EnvironmentFault, match="must return text, not generator"):
        environment.step(EnvironmentCall("add", {"count": 1}))


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), 1e300, "1", None, [1]])
def test_a_reward_must_be_a_finite_number(reward: Any) -> None:
    with pytest.raises(EnvironmentFault, match="must be a finite number"):
        checked_reward(reward)
