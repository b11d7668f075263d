"""How `import qwenvl_debug` makes transformers know the first Qwen-VL, without importing transformers or torch itself.

transformers offers registers for models from elsewhere, but no way to announce them before it is imported, and
importing it (with torch) takes seconds that `qwenvl-debug --help` should not. So three of its modules are watched,
those that hold a register: as soon as one has been imported, by whomever, what belongs in it is registered. Where one
is there already, that happens at once. This is the post-import hook of PEP 369, in its smallest form: nothing of
transformers is changed, and its modules keep their own loaders.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def _config() -> None:
    from transformers.models.auto.configuration_auto import AutoConfig

    from qwenvl_debug.model.qwen_vl_1.configuration import QWenConfig

    AutoConfig.register(QWenConfig.model_type, QWenConfig, exist_ok=True)


def _model() -> None:
    from transformers.models.auto.modeling_auto import AutoModelForCausalLM

    from qwenvl_debug.model.qwen_vl_1.configuration import QWenConfig
    from qwenvl_debug.model.qwen_vl_1.modelling import QWenLMHeadModel

    AutoModelForCausalLM.register(QWenConfig, QWenLMHeadModel, exist_ok=True)


def _tokenizer() -> None:
    from transformers.models.auto.tokenization_auto import AutoTokenizer

    from qwenvl_debug.model.qwen_vl_1.configuration import QWenConfig
    from qwenvl_debug.model.qwen_vl_1.tokenizer import QWenTokenizer

    AutoTokenizer.register(QWenConfig, tokenizer_class=QWenTokenizer, exist_ok=True)


_REGISTERS: dict[str, Callable[[], None]] = {
    "transformers.models.auto.configuration_auto": _config,
    "transformers.models.auto.modeling_auto": _model,
    "transformers.models.auto.tokenization_auto": _tokenizer,
}


class _AfterImport(MetaPathFinder):
    """Finds the watched modules as Python would, and has them followed by what is to be registered in them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own specification, whose loader registers after it has run the module."""
        if fullname not in _REGISTERS:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_register(module: ModuleType) -> None:
                run(module)
                _REGISTERS[fullname]()

            spec.loader.exec_module = run_and_register
        return spec


def register() -> None:
    """Make transformers know the first Qwen-VL, now or as soon as it is imported."""
    if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())
    for module, do in _REGISTERS.items():
        if module in sys.modules:
            do()
