"""Names in the source: the only gate through which text of a diagram reaches it."""

from __future__ import annotations

import keyword
import re

from anatomy.compiler.runtime import FUNCTIONS

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}\Z")
_TAKEN = """
    torch F math nn self sizes hashlib Tensor annotations seed dtype device reference
    ValueError float getattr isinstance staticmethod super range zip enumerate tuple
"""
TAKEN = frozenset(_TAKEN.split()) | {f"_{name}" for name in FUNCTIONS}
"""Names that the text around a value uses: modules, built-in functions, the functions of `runtime`."""

_MODULE = """
    KEYS T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches
    eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_members load_state_dict member modules
    mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ reset_parameters set_extra_state
    set_submodule share_memory source state_dict to to_empty train training type xpu zero_grad
"""
MODULE = frozenset(_MODULE.split())
"""Attributes that a module has already; the keys of its state dict are not touched by this."""


class Names:
    """Allocates distinct Python identifiers."""

    def __init__(self, taken: frozenset[str] = TAKEN) -> None:
        self.used: set[str] = set(taken)

    def new(self, wanted: str, otherwise: str = "t") -> str:
        """The wanted name where it is an identifier, else a plain one; numbered when taken."""
        base = wanted if safe(wanted) else otherwise
        name, count = base, 1
        while name in self.used:
            count += 1
            name = f"{base}_{count}"
        self.used.add(name)
        return name


def attribute(names: Names, key: str) -> str:
    """An attribute for a weight; one that starts with `_` might be the module's own."""
    wanted = ("turn_" if key[:1].isdigit() else "") + key.replace(".", "_")
    return names.new("" if wanted.startswith("_") else wanted, "weight")


def safe(text: str) -> bool:
    return bool(IDENTIFIER.match(text)) and not keyword.iskeyword(text) and not keyword.issoftkeyword(text) and not text.startswith("__")


def class_name(name: str) -> str:
    """`dot_score` to `DotScore`."""
    words = [w for w in re.split(r"[^A-Za-z0-9]+", name) if w]
    camel = "".join(w[0].upper() + w[1:] for w in words)
    return camel if safe(camel) else f"Diagram{camel if safe('D' + camel) else ''}"


def comment(text: str) -> str:
    """Text that may stand in a comment: one line, printable."""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:100]


def docstring(text: str) -> str:
    """Text that may stand in a string between three quotes: as in a comment, without quotes and backslashes."""
    return comment(text).replace("\\", "/").replace('"', "'")
