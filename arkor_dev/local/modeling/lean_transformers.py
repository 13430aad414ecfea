"""Imports transformers without its list of all models, for a process that needs few of them.

``import transformers`` reads every file of every model, twice, to learn which names exist: a second of
processor time in every worker. Here it starts without that list. An unknown name is first looked up in the
folder whose name it begins with (``LlamaConfig`` in ``models/llama``), and in all folders only if it is not
there. The library's own code reads the folders and imports the names.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import lean_torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PACKAGE: Final = "transformers"
MODELS: Final = f"{PACKAGE}.models"
READER: Final = f"{PACKAGE}.utils.import_utils"
"""transformers' module that lists which names exist."""
LEFT_OUT: Final = (
    *("is_torch_flex_attn_available", "is_torch_distributed_available"),
    *("is_compiled_module", "has_compiled_regions"),
)
"""Modules that check for compiled attention or models, and for models on several machines."""
ADAPTERS: Final = "peft.tuners.tuners_utils"
UNWRAPPING: Final = "accelerate.utils.other"
"""Checks made before a model is saved: whether it is compiled, or spread over several machines."""
SHARDED: Final = "_torch_supports_distributed"
"""The corresponding check of PEFT's adapters."""
TABLES: Final = ("_class_to_module", "_object_missing_backend", "_import_structure")
"""Attributes in which a package of transformers stores its names and modules."""


def install() -> None:
    """Make ``import transformers`` skip the list of all models from now on.

    After `lean_torch.install`, it also skips the parts for torch's compiler and for several machines. Does
    nothing if transformers is already imported, or if its structure is unknown.
    """
    if PACKAGE in sys.modules or importlib.util.find_spec(PACKAGE) is None:
        return
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module(PACKAGE)
    except Exception:  # noqa: BLE001 - a different version of the library: use the normal import
        for name in [
            name_of_module for name_of_module in sys.modules if name_of_module.partition(".")[0] == PACKAGE
        ]:
            del sys.modules[name]
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def lean_imports() -> Iterator[None]:
    """Make imports of torch, and of libraries that use it, fast within the block, without these parts."""
    with lean_torch.no_collection():
        lean_torch.install()
        install()
        yield


class _Finder(MetaPathFinder):
    """Finds only transformers' list of names, and two other libraries' modules with such checks."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in (READER, ADAPTERS, UNWRAPPING) else None
        if spec and isinstance(spec.loader, SourceFileLoader) and spec.origin:
            spec.loader = _Loader(name, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    """Loads those modules; defers the list of all models, and makes all of them skip unused parts."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if hasattr(module, "define_import_structure") and hasattr(module, "_LazyModule"):
            _defer_list(module)
        if lean_torch.is_deferred():
            for name in LEFT_OUT:
                if hasattr(module, name):
                    setattr(module, name, lambda *_: False)
            if hasattr(module, SHARDED):
                setattr(module, SHARDED, False)


def _defer_list(reader: Any) -> None:
    """Make transformers skip the list, and its packages search for unknown names."""
    folder = Path(reader.__file__).parents[1] / "models"
    read, library = reader.define_import_structure, reader._LazyModule  # noqa: SLF001

    def define_import_structure(module_path: Any, prefix: str | None = None) -> Any:
        if Path(module_path) in (folder, folder / "__init__.py"):
            return {frozenset(): {prefix: set()} if prefix else {}}
        return read(module_path, prefix)

    class LazyModule(library):  # type: ignore[misc, valid-type]
        """A package of transformers; it and ``transformers.models`` search for models' names."""

        def __getattr__(self, name: str) -> Any:
            attributes = vars(self)
            if (
                attributes.get("__name__") in (PACKAGE, MODELS)
                and "_name" in attributes
                and name.isidentifier()
            ):
                self._look_for(name)
            return super().__getattr__(name)

        def __dir__(self) -> Iterable[str]:
            if self.__name__ in (PACKAGE, MODELS):
                self._learn(folder)
            names: Iterable[str] = super().__dir__()
            return names

        def _look_for(self, name: str) -> None:
            """Read the folders that may define ``name`` until it is found."""
            if name.startswith("_") or self._knows(name) or (folder.parent / f"{name}.py").is_file():
                return  # the last component is a module of the library, which Python finds itself
            letters = _letters(name)
            candidates = (
                entry.name for entry in folder.iterdir() if letters.startswith(_letters(entry.name))
            )
            for subfolder in (*sorted(candidates, key=len, reverse=True), "."):
                self._learn(folder / subfolder)
                if self._knows(name):
                    return

        def _knows(self, name: str) -> bool:
            """Return whether ``name`` is known to the library, directly or as an alias."""
            tables = (self._objects, self._modules, *(vars(self)[table] for table in TABLES))
            return any(entry in table for table in tables for entry in (name, name.removesuffix("Fast")))

        def _learn(self, subfolder: Path) -> None:
            """Add the names that transformers reads from a model's folder."""
            learned: set[Path] = self.__dict__.setdefault("_learned", set())
            if learned & {subfolder, folder}:
                return
            above = [*(["models"] if self.__name__ == PACKAGE else []), *subfolder.relative_to(folder).parts]
            structure = {
                backends: {".".join([*above, module]): names for module, names in modules.items()}
                for backends, modules in read(subfolder).items()
            }
            package = library(self.__name__, self.__file__, {frozenset(): {}, **structure})
            self._modules |= package._modules  # noqa: SLF001
            self.__all__ += package.__all__
            for table in TABLES:
                vars(self)[table].update(vars(package)[table])
            learned.add(subfolder)

    reader.define_import_structure, reader._LazyModule = define_import_structure, LazyModule  # noqa: SLF001


def _letters(name: str) -> str:
    return name.replace("_", "").lower()
