"""The tables of the parser, and the loop that runs them.

Lark makes the tables from `grammar/anat.lark`; `tables.json` keeps them, so that checking a file loads neither Lark
nor the grammar's automaton builder. `python -m anatomy.language.lalr` writes the file anew, and a test compares both.
Keywords are never names, but for `where`, which is an operation too; Lark alone would take any keyword for a name where
the grammar leaves no doubt, and find fault with a later word.
Non-goals: any grammar but this one's shape (one start rule, all tokens kept, no placeholders).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SKIPPED = re.compile(r"(?>[ \t\f\r\n]+|#[^\n]*)*+")
TABLES = Path(__file__).resolve().parent / "tables.json"


def grammar_text() -> str:
    """The grammar, from the installed package or from the checkout."""
    here = Path(__file__).resolve().parent.parent
    for place in (here / "grammar" / "anat.lark", here.parent / "grammar" / "anat.lark"):
        if place.is_file():
            return place.read_text("utf-8")
    raise FileNotFoundError("grammar/anat.lark is missing: reinstall attention-anatomy")


class Token:
    """A piece of text with its terminal and its place."""

    __slots__ = ("at", "text", "type")

    def __init__(self, type: str, text: str, start: int, end: int):
        self.type, self.text, self.at = type, text, (start, end)


class Unexpected(Exception):
    """The text stops being in the language at `token`; `expected` terminals would have been."""

    def __init__(self, token: Token, expected: list[str]):
        super().__init__(token.text)
        self.token, self.expected = token, expected


class TooDeep(Exception):
    """A tree deeper than the passes that walk it may recurse."""

    def __init__(self, at: tuple[int, int]):
        super().__init__("too deep")
        self.at = at


class TooLong(Exception):
    """More tokens than are read."""


@dataclass(frozen=True)
class Tables:
    """An LALR(1) automaton: an action `n >= 0` shifts to state `n`, `n < 0` reduces by rule `-n - 1`."""

    states: list[dict[str, int]]
    rules: list[tuple[str, str, int, list[int], bool]]
    start: int
    accepting: int
    words: dict[str, str]
    contextual: dict[str, re.Pattern[str]]
    scanner: re.Pattern[str]

    @staticmethod
    def of(data: Mapping[str, Any]) -> Tables:
        return Tables(
            data["states"], [tuple(r) for r in data["rules"]], data["start"], data["accepting"], data["words"],
            {name: re.compile(pattern) for name, pattern in data["contextual"].items()},
            re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in data["patterns"])),
        )  # fmt: skip

    def accepts(self, stack: list[int]) -> list[str]:
        """The terminals that some continuation of the text may have here."""
        return [name for name in self.states[stack[-1]] if name.isupper() or name == "$END" if self._leads(stack, name)]

    def _leads(self, stack: list[int], name: str) -> bool:
        states = list(stack)
        while True:
            action = self.states[states[-1]].get(name)
            if action is None or action >= 0:
                return action is not None
            origin, _, length, _, _ = self.rules[-action - 1]
            if length:
                del states[-length:]
            if name == "$END" and origin == "start":
                return True
            states.append(self.states[states[-1]][origin])


def run(
    tables: Tables, text: str, build: Mapping[str, Callable[[list[Any]], Any]], shift: Callable[[Token], Any],
    max_depth: int, max_tokens: int,
) -> Any:  # fmt: skip
    """The value of a text: `build[rule](children)` at every reduction, `shift(token)` at every token.

    Raises `Unexpected`, `TooDeep` or `TooLong`.
    """
    states, rules, scan, words = tables.states, tables.rules, tables.scanner.match, tables.words
    stack, values, depths = [tables.start], [], []
    row = states[tables.start]
    position, count = 0, 0
    while True:
        position = SKIPPED.match(text, position).end()  # type: ignore[union-attr]
        token = _token(tables, text, position, row, scan, words)
        kind = token.type
        count += 1
        if count > max_tokens:
            raise TooLong
        while True:
            action = row.get(kind)
            if action is None:
                raise Unexpected(token, tables.accepts(stack))
            if action >= 0:
                stack.append(action)
                row = states[action]
                values.append(shift(token))
                depths.append(0)
                break
            origin, method, length, inline, single = rules[-action - 1]
            if single and length == 1 and not inline:
                # The chain from atom to expression: the value stays as it is.
                stack[-1] = action = states[stack[-2]][origin]
                row = states[action]
                continue
            if length:
                children, deep = values[-length:], max(depths[-length:])
                del values[-length:], depths[-length:], stack[-length:]
                if inline:
                    children = _inlined(children, inline)
            else:
                children, deep = [], 0
            if method == "":
                values.append(children)
            elif single and len(children) == 1:
                values.append(children[0])
            else:
                deep += 1
                value = build[method](children)
                if deep > max_depth:
                    raise TooDeep(getattr(value, "at", token.at))
                values.append(value)
            depths.append(deep)
            action = states[stack[-1]][origin]
            if action == tables.accepting and kind == "$END":
                return values[-1]
            stack.append(action)
            row = states[action]
        position = token.at[1]


def _token(
    tables: Tables, text: str, position: int, row: Mapping[str, int], scan: Callable[..., Any], words: Mapping[str, str]
) -> Token:
    for name, pattern in tables.contextual.items():
        if name in row:
            found = pattern.match(text, position)
            if found:
                return Token(name, found[0], position, found.end())
    found = scan(text, position)
    if found is None:
        if position >= len(text):
            return Token("$END", "", position, position)
        return Token("$BAD", text[position], position, position + 1)
    kind = found.lastgroup
    if kind == "NAME":
        word = words.get(found[0])
        if word is not None and (word != "WHERE" or word in row or "NAME" not in row):
            kind = word
    elif kind == "MARK":
        kind = words[found[0]]
    return Token(kind, found[0], position, found.end())


def _inlined(children: list[Any], inline: list[int]) -> list[Any]:
    """Children with the lists of helper rules opened up; the first list grows in place, so lists cost linear time."""
    if inline[0] == 0:
        result, start = children[0], 1
    else:
        result, start = [], 0
    for k in range(start, len(children)):
        if k in inline:
            result.extend(children[k])
        else:
            result.append(children[k])
    return result


# making the tables ----------------------------------------------------------------------------


def make(grammar: str) -> dict[str, Any]:
    """The tables of a grammar, by Lark, as JSON data."""
    from lark import Lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    lark = Lark(grammar, parser="lalr", keep_all_tokens=True, maybe_placeholders=False)
    data, memo = lark.memo_serialize([TerminalDef, Rule])
    table = data["parser"]["parser"]
    states = {
        number: {table["tokens"][token]: action for token, action in sorted(row.items(), key=lambda t: table["tokens"][t[0]])}
        for number, row in table["states"].items()
    }
    # Lark numbers states and rules as sets come; here they are numbered as a walk from the start meets them.
    order = {table["start_states"]["start"]: 0}
    used: dict[int, int] = {}
    for number in _numbered(order, states):
        for reduce, argument in states[number].values():
            if reduce:
                used.setdefault(argument["@"], len(used))
    rules = []
    for key in used:
        rule = memo[key]
        origin, alias, options = rule["origin"]["name"], rule["alias"], rule["options"]
        names = [symbol["name"] for symbol in rule["expansion"]]
        inline = [k for k, name in enumerate(names) if name.startswith("_") and not name.isupper()]
        helper = origin.startswith("_") and not alias
        rules.append([origin, "" if helper else alias or origin, len(names), inline, bool(options["expand1"] and not alias)])
    words, contextual, patterns = {}, {}, []
    ignored = set(data["parser"]["lexer_conf"]["ignore"])
    terminals = [t for t in memo.values() if t["__type__"] == "TerminalDef" and t["name"] not in ignored]
    for terminal in sorted(terminals, key=lambda t: (-t["priority"], t["name"])):
        name, pattern = terminal["name"], terminal["pattern"]
        if pattern["__type__"] == "PatternStr":
            words[pattern["value"]] = name
        elif terminal["priority"] >= 3:
            contextual[name] = pattern["value"]
        else:
            patterns.append([name, pattern["value"]])
    marks = sorted((w for w in words if not w.isidentifier()), key=lambda w: (-len(w), w))
    patterns.append(["MARK", "|".join(map(re.escape, marks))])
    rows = [
        {token: -1 - used[argument["@"]] if reduce else order[argument] for token, (reduce, argument) in states[n].items()}
        for n in order
    ]
    return {
        "grammar": zlib.crc32(grammar.encode()), "start": order[table["start_states"]["start"]],
        "accepting": order[table["end_states"]["start"]], "words": words, "contextual": contextual,
        "patterns": patterns, "rules": rules, "states": rows,
    }  # fmt: skip


def _numbered(order: dict[int, int], states: Mapping[int, Mapping[str, tuple[int, Any]]]) -> Iterator[int]:
    """Walk the automaton breadth first, numbering each state when it is first met."""
    queue = list(order)
    for number in queue:
        for reduce, argument in states[number].values():
            if not reduce and argument not in order:
                order[argument] = len(order)
                queue.append(argument)
        yield number


@cache
def tables() -> Tables:
    """The tables of the language, from the file where it fits the grammar, else made anew."""
    grammar = grammar_text()
    try:
        data = json.loads(TABLES.read_text("utf-8"))
        if data["grammar"] == zlib.crc32(grammar.encode()):
            return Tables.of(data)
    except (OSError, ValueError, KeyError):
        pass
    return Tables.of(make(grammar))


def written(data: Mapping[str, Any]) -> str:
    """The tables as text: one rule and one state a line."""
    head = {k: v for k, v in data.items() if k not in ("rules", "states")}
    rows = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    for key in ("rules", "states"):
        lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in data[key])
        rows.append(f"{json.dumps(key)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(rows) + "\n}\n"


if __name__ == "__main__":
    TABLES.write_text(written(make(grammar_text())), "utf-8")
