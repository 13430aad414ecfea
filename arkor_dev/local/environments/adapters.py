"""Makes environments of different shapes look alike; runs in an episode's own process.

Three shapes are known by what the class has:

- ``tools`` and ``step(call)``: this project's. ``tools`` are JSON schemas, or functions with type hints and
  docstrings in Google's style; ``call`` is ``{"name", "arguments"}``, and ``step`` returns a text.
- ``step(action)`` without ``tools``: OpenEnv's. ``reset`` and ``step`` return an observation with ``reward``
  and ``done``, itself or in a result. The model gets one tool, ``step``.
- otherwise TRL's ``environment_factory``: each public method is a tool, and ``reset`` gets a row's columns.

All may have ``reset`` return a first observation, ``reward`` as a method or attribute, and ``done``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import json
import math
import numbers
import typing
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.settings.json_schema import schema_fault, valid

from .messages import BROKEN, EnvironmentCall, Result, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Tool = dict[str, Any]

MOST_TOOLS: Final = 64
MOST_SCHEMAS: Final = 64_000
"""Maximum length of all tools' schemas, in characters of JSON."""
MOST_REWARD: Final = 1e9
"""Maximum absolute reward: larger ones leave float32 no digits for the differences within a group."""
NOT_TOOLS: Final = ("reset", "get_reward", "reward", "done", "close")
SHOWN: Final = 60
"""Characters of a wrong value in an error."""
ALONE: Final = "action"
"""The argument of an action that is not an object."""


class EnvironmentFault(Exception):  # noqa: N818 - as JobFailure
    """What an environment does wrongly, for the user."""


class Environment(ABC):
    """An instance of a project's environment, for one episode.

    Every method may raise whatever the project's code raises, and `EnvironmentFault`.
    """

    def __init__(self, instance: Any) -> None:
        self._instance = instance
        self._tools: list[Tool] = []

    @property
    def tools(self) -> list[Tool]:
        """The tools in OpenAI's form, known after :meth:`reset`."""
        return self._tools

    def reset(self, row: Row) -> str | None:
        """Begin an episode on ``row``; return what is added to its prompt, if anything."""
        observation = self._reset(row)
        self._tools = _checked_tools(self._made_tools())
        return observation

    def step(self, call: EnvironmentCall) -> Result:
        """Make one call. A call that the model made wrongly has a result that says so."""
        tool = next((tool for tool in self._tools if tool["function"]["name"] == call.name), None)
        if tool is None:
            return Result(f"error: no tool is called {call.name[:SHOWN]}", error=True)
        if call.arguments is None:
            return Result(BROKEN, error=True)
        if fault := argument_fault(call.arguments, tool["function"].get("parameters") or {}):
            return Result(f"error: {fault}", error=True)
        return self._step(call.name, call.arguments)

    @property
    def done(self) -> bool:
        """Whether the environment has ended the episode."""
        value = getattr(self._instance, "done", False)
        value = finished(value()) if callable(value) else value
        if not isinstance(value, bool):
            raise EnvironmentFault(f"done must be true or false, not {_described(value)}")
        return value

    def reward(self, answer: str) -> float | None:
        """Return the episode's reward, given the model's last ``answer``; None without one."""
        found = getattr(self._instance, "get_reward", None)
        found = getattr(self._instance, "reward", None) if found is None else found
        if callable(found):
            takes = [name for name in inspect.signature(found).parameters if name == "answer"]
            found = finished(found(**dict.fromkeys(takes, answer)))
        return None if found is None else checked_reward(found)

    @abstractmethod
    def _reset(self, row: Row) -> str | None:
        """Reset the instance."""

    @abstractmethod
    def _made_tools(self) -> Sequence[object]:
        """Return the instance's tools: schemas and functions."""

    @abstractmethod
    def _step(self, name: str, arguments: dict[str, object]) -> Result:
        """Make a call whose tool and arguments are known to be right."""


class OwnEnvironment(Environment):
    """``reset(row)``, ``tools``, ``step(call)`` and ``reward()``."""

    def _reset(self, row: Row) -> str | None:
        takes = inspect.signature(self._instance.reset).parameters
        return _observation(finished(self._instance.reset(row) if takes else self._instance.reset()))

    def _made_tools(self) -> Sequence[object]:
        tools = self._instance.tools
        tools = finished(tools()) if callable(tools) else tools
        if not isinstance(tools, list | tuple):
            raise EnvironmentFault(f"tools must be a list, not {_described(tools)}")
        return tools

    def _step(self, name: str, arguments: dict[str, object]) -> Result:
        text = finished(self._instance.step({"name": name, "arguments": arguments}))
        if not isinstance(text, str):
            raise EnvironmentFault(f"step() must return text, not {_described(text)}")
        return Result(text)


class MethodsEnvironment(Environment):
    """TRL's ``environment_factory``: each public method is a tool, whose exceptions are its results."""

    def _reset(self, row: Row) -> str | None:
        parameters = inspect.signature(self._instance.reset).parameters
        if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
            row = {name: value for name, value in row.items() if name in parameters}
        return _observation(finished(self._instance.reset(**row)))

    def _made_tools(self) -> Sequence[object]:
        members = inspect.getmembers(type(self._instance), inspect.isfunction)
        names = [name for name, _ in members if not name.startswith("_") and name not in NOT_TOOLS]
        return [getattr(self._instance, name) for name in names]

    def _step(self, name: str, arguments: dict[str, object]) -> Result:
        try:
            return Result(str(finished(getattr(self._instance, name)(**arguments))))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - TRL shows it to the model, which may do better
            return Result(str({"error": str(error)}), error=True)


class OpenEnvironment(Environment):
    """OpenEnv's ``reset()`` and ``step(action)``; the reward is the sum of those of the steps."""

    def __init__(self, instance: Any) -> None:
        super().__init__(instance)
        self._rewards: list[float] = []
        self._is_done = False

    @property
    def done(self) -> bool:
        return self._is_done

    def reward(self, answer: str) -> float | None:
        """Return the sum of the steps' rewards; None if no step had one."""
        return checked_reward(sum(self._rewards)) if self._rewards else super().reward(answer)

    def _reset(self, row: Row) -> str | None:
        parameters = inspect.signature(self._instance.reset).parameters
        known = {name: value for name, value in row.items() if name in parameters}
        return self._taken(finished(self._instance.reset(**known)))

    def _made_tools(self) -> Sequence[object]:
        properties, required = _fields(self._action())
        description = (inspect.getdoc(self._instance.step) or "Take an action.").partition("\n\n")[0]
        parameters = {"type": "object", "properties": properties, "required": required}
        return [{"name": "step", "description": description, "parameters": parameters}]

    def _action(self) -> Any:
        """Return the type of an action; str if it has no hint."""
        name, *_ = [*inspect.signature(self._instance.step).parameters, ""]
        hints = typing.get_type_hints(self._instance.step)
        return hints.get(name, str)

    def _step(self, name: str, arguments: dict[str, object]) -> Result:
        kind = self._action()
        if dataclasses.is_dataclass(kind) or hasattr(kind, "model_validate"):
            action: object = typing.cast("Callable[..., object]", kind)(**arguments)
        else:
            action = arguments[ALONE]
        return Result(self._taken(finished(self._instance.step(action))) or "")

    def _taken(self, result: object) -> str | None:
        """Take the reward and the end from a result, or an observation; return the observation as text."""
        if result is None:
            return None
        observation = getattr(result, "observation", result)
        for part in (result, observation):
            reward = getattr(part, "reward", None)
            if reward is not None:
                self._rewards.append(checked_reward(reward))
                break
        self._is_done = any(getattr(part, "done", False) is True for part in (result, observation))
        if isinstance(observation, str):
            return observation
        fields = _public(observation)
        return json.dumps(fields, ensure_ascii=False, default=str)


def environment_of(make: Callable[[], object]) -> Environment:
    """Return an instance, adapted by its shape. Raises EnvironmentFault if it has none of them."""
    instance = finished(make())
    if not callable(getattr(instance, "reset", None)):
        raise EnvironmentFault("the environment has no method reset")
    if not callable(getattr(instance, "step", None)):
        return MethodsEnvironment(instance)
    return OwnEnvironment(instance) if hasattr(instance, "tools") else OpenEnvironment(instance)


def has_functions(make: Callable[[], object]) -> bool:
    """Return whether tools of the class ``make`` may be functions, whose schemas need transformers."""
    if not isinstance(make, type) or not hasattr(make, "step"):
        return True
    tools = getattr(make, "tools", ())
    return callable(tools) or any(map(callable, tools if isinstance(tools, list | tuple) else ()))


def finished(value: Any) -> Any:
    """Return the result of a coroutine, and any other value as it is."""
    if not inspect.isawaitable(value):
        return value

    async def result() -> Any:
        return await value

    return _loop().run_until_complete(result())


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the one event loop of this process: connections of an environment belong to it."""
    return asyncio.new_event_loop()


def argument_fault(arguments: Mapping[str, object], parameters: Mapping[str, Any]) -> str | None:
    """Return what the model did wrongly with ``arguments``, for it to read; None if they fit."""
    properties = parameters.get("properties") or {}
    for name in parameters.get("required") or ():
        if name not in arguments:
            return f"the argument {name} is missing"
    for name, value in arguments.items():
        known = properties.get(name)
        if known is None and properties and parameters.get("additionalProperties", False) is False:
            return f"there is no argument {str(name)[:SHOWN]}"
        # A schema with keywords outside the subset, such as a reference, is the environment's to check.
        if known is not None and schema_fault(known) is None and not valid(value, known):
            wanted = known.get("enum") or known.get("type", "valid")
            wanted = ", ".join(map(str, wanted)) if isinstance(wanted, list) else wanted
            return f"the argument {name} must be {wanted}"
    return None


def checked_reward(value: object) -> float:
    """Return a reward as a number. Raises EnvironmentFault."""
    if isinstance(value, numbers.Real) and math.isfinite(value) and abs(float(value)) <= MOST_REWARD:
        return float(value)
    raise EnvironmentFault(f"the reward must be a finite number, true or false, not {_described(value)}")


def _observation(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise EnvironmentFault(f"reset() must return text or None, not {_described(value)}")


def _described(value: object) -> str:
    """Return a value of a simple type, else the name of its type: any other text could be endless."""
    simple = isinstance(value, bool | int | float | str | bytes) and len(repr(value)) <= SHOWN
    return repr(value) if simple else type(value).__name__[:SHOWN]


def _checked_tools(tools: Sequence[object]) -> list[Tool]:
    """Return tools in OpenAI's form, of schemas and functions. Raises EnvironmentFault."""
    if not tools:
        raise EnvironmentFault("it has no tools")
    if len(tools) > MOST_TOOLS:
        raise EnvironmentFault(f"it has more than {MOST_TOOLS} tools")
    checked = [_checked_tool(tool) for tool in tools]
    names = [tool["function"]["name"] for tool in checked]
    if twice := [name for name in names if names.count(name) > 1]:
        raise EnvironmentFault(f"two tools are called {twice[0]}")
    try:
        text = json.dumps(checked)
    except (TypeError, ValueError, RecursionError):
        raise EnvironmentFault("tools are not JSON") from None
    if len(text) > MOST_SCHEMAS:
        raise EnvironmentFault(f"the schemas of its tools have more than {MOST_SCHEMAS:,} characters")
    return checked


def _checked_tool(tool: object) -> Tool:
    if callable(tool):
        # Imported for functions only: it takes a second, which JSON schemas do not need.
        from transformers.utils.chat_template_utils import get_json_schema

        try:
            tool = get_json_schema(tool)
        except Exception as error:  # noqa: BLE001 - of the docstring's parser
            raise EnvironmentFault(str(error)) from None
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(name := function.get("name"), str) or not name:
        raise EnvironmentFault("a tool must be a function, or a JSON schema with a name")
    parameters = function.get("parameters", {})
    if not isinstance(parameters, dict):
        raise EnvironmentFault(f"the parameters of the tool {name[:SHOWN]} must be a JSON schema")
    return {"type": "function", "function": {"description": "", **function, "parameters": parameters}}


def _fields(kind: Any) -> tuple[Tool, list[str]]:
    """Return the properties of an action's schema, and the required ones."""
    if hasattr(kind, "model_json_schema"):  # pydantic's
        schema = kind.model_json_schema()
        properties = {name: part for name, part in schema["properties"].items() if name != "metadata"}
        return properties, [name for name in schema.get("required", ()) if name in properties]
    types = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if not dataclasses.is_dataclass(kind):
        return {ALONE: {"type": types.get(kind, "string")}}, [ALONE]
    hints = typing.get_type_hints(kind)
    own = [each for each in dataclasses.fields(kind) if each.init and each.name != "metadata"]
    missing = dataclasses.MISSING
    required = [each.name for each in own if each.default is missing and each.default_factory is missing]
    named = {each.name: types.get(hints[each.name]) for each in own}
    return {name: {"type": kind} if kind else {} for name, kind in named.items()}, required


def _public(observation: object) -> object:
    """Return what an observation shows, without its reward, end and metadata."""
    if hasattr(observation, "model_dump"):
        fields = observation.model_dump()
    elif dataclasses.is_dataclass(observation) and not isinstance(observation, type):
        fields = dataclasses.asdict(observation)
    else:
        fields = observation
    if not isinstance(fields, dict):
        return fields
    return {name: value for name, value in fields.items() if name not in ("reward", "done", "metadata")}
