"""Names in the source: the only gate through which text of a diagram reaches it."""

from __future__ import annotations

import keyword
import re

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}\Z")
TAKEN = frozenset(["torch", "F", "math", "nn", "self", "sizes", "hashlib", "Tensor", "annotations", "seed", "dtype", "device"])


class Names:
    """Allocates distinct Python identifiers."""

    def __init__(self) -> None:
        self.used: set[str] = set(TAKEN)

    def new(self, wanted: str, otherwise: str = "t") -> str:
        """The wanted name where it is an identifier, else a plain one; numbered when taken."""
        base = wanted if safe(wanted) else otherwise
        name, count = base, 1
        while name in self.used:
            count += 1
            name = f"{base}_{count}"
        self.used.add(name)
        return name


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
