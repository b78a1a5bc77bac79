"""What a certificate holds: a diagram as plain data, weights, and the claims of a proof; read from hostile text safely."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

VERSION = 1
LONGEST = 16 * 2**20
"""Bytes of the longest certificate that is read: about 1.5 million weights."""
MOST = 200_000
"""Values of all kinds in a certificate, a weight of any size being one."""

Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=0, le=2**20)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def readable(text: str) -> str:
    """The same in printable characters of ASCII, and not too long."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:300])


class Broken(Exception):
    """A certificate that does not hold: where, and why."""

    def __init__(self, place: str, why: str):
        # Both may hold words of the file, which are for people to read and not for terminals to obey.
        self.place, self.why = readable(place), readable(why)
        super().__init__(f"{self.place}: {self.why}")


class Part(BaseModel):
    """The base of all parts: frozen, exact types, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Wire(Part):
    """A tensor with a set of named axes; `into` is the axis that an index points into."""

    axes: tuple[Word, ...]
    kind: Literal["real", "mask", "index"]
    into: str = ""


class Port(Part):
    """A wire at a node, with every axis of the wire and its name there."""

    wire: Count
    names: tuple[tuple[Word, Word], ...]


class Node(Part):
    """An operation by its word, its options as text (numbers are exact rationals), its own axes, ports and results."""

    op: Word
    options: dict[Word, Word]
    own: tuple[Word, ...]
    ports: tuple[Port, ...]
    outs: tuple[Count, ...]


class Given(Part):
    """An input: its wire and the order of its axes; the last holds features, the others tokens."""

    name: str
    wire: Count
    layout: tuple[Word, ...]


class Values(Part):
    """A weight: its wire, the order of its axes, and its float64 values, row by row, little-endian, in base64."""

    key: Word
    wire: Count
    layout: tuple[Word, ...]
    data: str
    sha256: str


class Result(Part):
    """An output: a wire seen under the header's names, in the header's order."""

    port: Port
    layout: tuple[Word, ...]
    kind: Literal["real", "mask", "index"]


class Graph(Part):
    """A diagram at given sizes, nodes in an order that respects the wires."""

    name: str
    sizes: dict[Word, Annotated[int, Field(ge=0, le=2**31)]]
    wires: Annotated[tuple[Wire, ...], Field(max_length=20000)]
    inputs: tuple[Given, ...]
    nodes: Annotated[tuple[Node, ...], Field(max_length=20000)]
    outputs: tuple[Result, ...]


class Gain(Part):
    """Operator norms of the derivative with respect to one input, for p = 1, 2, infinity over the tokens."""

    input: Count
    one: Size
    two: Size
    inf: Size


class Claim(Part):
    """What is claimed of one wire on the domain: every entry in [low, high], every token of norm at most `radius`."""

    wire: Count
    tokens: tuple[Word, ...]
    low: Number
    high: Number
    radius: Size
    gains: tuple[Gain, ...]


class Step(Part):
    """The claims of one node, the rules that prove them, and the numbers that the rules ask for, in their order."""

    node: Annotated[int, Field(ge=-1, le=20000)]
    rules: tuple[Word, ...]
    numbers: tuple[Number, ...]
    claims: tuple[Claim, ...]


class Certificate(Part):
    """A proof that the diagram with these weights has Lipschitz constant at most `upper`.

    Domain: every token of every real input has Euclidean norm at most `radius`. Norm: `frobenius` in and out, or
    `max_token`, the largest token norm in and out; the derivative is joint over all real inputs.
    """

    format: Literal["anatomy certificate"] = "anatomy certificate"
    version: Literal[1] = VERSION
    graph: Graph
    weights: tuple[Values, ...]
    radius: Size
    norm: Literal["frobenius", "max_token"]
    steps: Annotated[tuple[Step, ...], Field(max_length=20001)]
    upper: Size
    sha256: str = ""

    @property
    def digest(self) -> str:
        """The SHA-256 of the canonical text of everything else."""
        return hashlib.sha256(_canonical(self.model_dump(mode="json", exclude={"sha256"})).encode()).hexdigest()

    def sealed(self) -> Certificate:
        """The same with its own digest."""
        return self.model_copy(update={"sha256": self.digest})

    @property
    def text(self) -> str:
        """The one text of this certificate."""
        return _canonical(self.model_dump(mode="json"))


def _canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def fits(raw: bytes) -> None:
    """Raises `Broken` where a text is too long to be read."""
    if len(raw) > LONGEST:
        raise Broken("file", f"longer than {LONGEST} bytes")
    if sum(map(raw.count, b",[{")) > MOST:
        raise Broken("file", f"more than {MOST} values")


def read(text: bytes | str) -> Certificate:
    """The certificate of a text, which must be its one text, byte for byte. Raises `Broken`."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    fits(raw)
    try:
        # Lists become tuples, so that strict types can be asked for: 1 is no text and "1" no number.
        found = Certificate.model_validate(_tuples(json.loads(raw, parse_constant=_refuse, parse_float=_float)), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Broken(".".join(map(str, first["loc"]))[:200] or "file", first["msg"][:200]) from None
    except RecursionError:
        raise Broken("file", "nested too deep") from None
    except ValueError as error:
        raise Broken("file", f"not JSON: {str(error)[:200]}") from None
    if found.text.encode() != raw.strip():
        raise Broken("file", "not in its canonical form: it was altered after it was written")
    if found.sha256 != found.digest:
        raise Broken("sha256", "the digest does not fit: the certificate was altered")
    return found


def _tuples(x: Any, depth: int = 0) -> Any:
    if depth > 12:
        raise ValueError("nested too deep")
    if isinstance(x, list):
        return tuple(_tuples(y, depth + 1) for y in x)
    return {k: _tuples(v, depth + 1) for k, v in x.items()} if isinstance(x, dict) else x


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large")
    return value
