"""The head of a file: the comment lines `# key: value` above everything else, with their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anatomy.errors import Diagnostic, Source, Span

KEYS = ("causal", "permutation-equivariant", "length-generic", "cost", "lipschitz")
"""What a mechanism claims, in the order in which it does."""
VERDICTS = ("globally_lipschitz", "not_globally_lipschitz", "not_lipschitz_on_domain", "unknown")
_PRODUCT = r"(?:[a-z]\w*(?:\^[2-9])?)(?: \* [a-z]\w*(?:\^[2-9])?)*"
COST = re.compile(rf"1|{_PRODUCT} log [a-z]\w*|{_PRODUCT}(?: \+ {_PRODUCT})*")


@dataclass(frozen=True)
class Claim:
    """One claim and where it stands."""

    key: str
    value: str
    span: Span


@dataclass(frozen=True)
class Head:
    """The fields of a head by key, its claims, and what in them was not understood."""

    source: Source
    fields: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    spans: Mapping[str, Span] = field(default_factory=dict)

    def __getitem__(self, key: str) -> str:
        return self.fields.get(key, "")

    @property
    def year(self) -> int | None:
        return int(self["year"]) if self["year"].isdigit() else None

    @property
    def reference(self) -> str:
        """Where to read it: `arXiv 1706.03762`, a DOI or an address."""
        if self["arxiv"]:
            return f"arXiv {self['arxiv']}"
        return f"doi {self['doi']}" if self["doi"] else self["url"]

    def values(self) -> dict[str, Any]:
        """The claims as plain data: yes and no as words."""
        return {k: c.value for k, c in self.claims.items()}


def read_head(source: Source) -> Head:
    """The head of a text. Claims that are not understood are E952, with the words that would be.

    >>> head = read_head(Source("t.anat", "# title: Plain\\n# claims: causal=yes; cost=n^2\\n\\naxis n"))
    >>> head["title"], head.claims["cost"].value
    ('Plain', 'n^2')
    """
    fields: dict[str, str] = {}
    claims: dict[str, Claim] = {}
    found: list[Diagnostic] = []
    spans: dict[str, Span] = {}
    at = 0
    for line in source.text.splitlines(keepends=True):
        if not line.startswith("#"):
            break
        key, colon, value = line[1:].partition(":")
        key = key.strip()
        if colon and key and " " not in key:
            fields[key] = value.strip()
            spans[key] = Span(source, at, at + len(line.rstrip()))
            if key == "claims":
                _claims(source, at + line.index(":") + 1, value, claims, found)
        at += len(line)
    return Head(source, fields, claims, tuple(found), spans)


def _claims(source: Source, at: int, text: str, claims: dict[str, Claim], found: list[Diagnostic]) -> None:
    for match in re.finditer(r"[^;]+", text):
        item = match.group().strip()
        if not item:
            continue
        start = at + match.start() + match.group().index(item)
        span = Span(source, start, start + len(item))
        key, equals, value = (p.strip() for p in item.partition("="))
        help = ""
        if not equals or key not in KEYS:
            help = f"a claim is `key=value`, with one of: {', '.join(KEYS)}"
        elif key in claims:
            help = "it is claimed twice"
        elif key == "cost" and not COST.fullmatch(value):
            help = "a cost is a product of sizes, as `n`, `n * m`, `n^2` or `n log n`, or a sum of such"
        elif key == "lipschitz" and value not in VERDICTS:
            help = f"a verdict is one of: {', '.join(VERDICTS)}"
        elif key in KEYS[:3] and value not in ("yes", "no"):
            help = f"`{key}` is `yes` or `no`"
        if help:
            found.append(Diagnostic("E952", f"the claim `{item}` is not understood", span, help=help))
        else:
            claims[key] = Claim(key, value, span)
