"""transformers without its list of all models, for a process that needs a tokenizer alone.

``import transformers`` reads every file of every model, twice, to know which names there are: more than half
of the time until a tokenizer can be loaded. Here stand-ins take the place of the two packages that do so, and
what is asked of them is found in its own module. Whatever else is asked loads the real package, as if it had
been there from the start, so that a tokenizer is the same by either way.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

PACKAGE: Final = "transformers"
MODELS: Final = f"{PACKAGE}.models"
AUTO: Final = {
    "AutoConfig": f"{MODELS}.auto.configuration_auto",
    "AutoTokenizer": f"{MODELS}.auto.tokenization_auto",
}
WHERE: Final = {
    **AUTO,
    "PreTrainedTokenizer": f"{PACKAGE}.tokenization_python",
    "PreTrainedTokenizerFast": f"{PACKAGE}.tokenization_utils_tokenizers",
}


class _StandIn(ModuleType):
    """A package of which only the place is known, until something is asked that is not found without it."""

    def __init__(self, name: str, spec: ModuleSpec) -> None:
        super().__init__(name)
        self.__spec__, self.__file__ = spec, spec.origin
        self.__path__ = list(spec.submodule_search_locations or ())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not name.isidentifier():  # a folder's name for its class may be anything
            raise AttributeError(name)
        if self.__name__ == PACKAGE and (where := _module_of(name)):
            return getattr(importlib.import_module(where), name)
        below = f"{self.__name__}.{name}"
        if importlib.util.find_spec(below):
            return importlib.import_module(below)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
            importlib.import_module(self.__name__)
        return getattr(sys.modules[self.__name__], name)


def _module_of(name: str) -> str | None:
    """The module that has a name of the package; for a model's tokenizer the model's name tells it."""
    model = name.removesuffix("Tokenizer").lower()
    where = WHERE.get(name)
    try:
        if where is None and name.endswith("Tokenizer") and importlib.util.find_spec(f"{MODELS}.{model}"):
            where = f"{MODELS}.{model}.tokenization_{model}"
        return where if where and hasattr(importlib.import_module(where), name) else None
    except ImportError:
        return None  # there is none, or it lacks a package: the real one knows what to say


def install() -> None:
    """Let ``from transformers import AutoConfig, AutoTokenizer`` load no more than these need.

    Does nothing where transformers is imported already, or is built otherwise than is known here.
    """
    if PACKAGE in sys.modules or importlib.util.find_spec(PACKAGE) is None:
        return
    try:
        for name in (PACKAGE, MODELS):
            spec = importlib.util.find_spec(name)
            assert spec is not None
            module = _StandIn(name, spec)
            sys.modules[name] = module
            if name == PACKAGE:
                vars(module)["__version__"] = importlib.metadata.version(PACKAGE)
            else:
                setattr(sys.modules[PACKAGE], name.rpartition(".")[2], module)
        for name, where in AUTO.items():
            getattr(importlib.import_module(where), name)
    except Exception:  # noqa: BLE001 - another version of the library: then as everybody imports it
        for name in [each for each in sys.modules if each.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
