"""Files as namespaces: what each name of a file means, what it uses from other files, and how they are found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from anatomy.errors import AnatomyError, Diagnostic, Label, Source, Span, fail
from anatomy.language import syntax as s
from anatomy.language.parse import MAX_BYTES, parse
from anatomy.ops import WORDS

LANGUAGE_VERSION = 1
MAX_FILES = 50
STD = Path(__file__).resolve().parent / "std"

RESERVED = frozenset(
    ["axis", "diagram", "rule", "derive", "family", "space", "use", "lang", "simd", "scan", "repeat", "next", "out", "weight", "table", "noise", "hole", "part", "tie", "lin", "where", "and", "or", "not", "choose", "in", "of", "as", "true", "false", "frozen", "tied"]
)
"""Words that name nothing."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """A name that the writer may have meant, or ''."""
    near = [k for k in known if abs(len(k) - len(word)) <= 1 + len(word) // 3]
    close = difflib.get_close_matches(word, near[:500], 1, 0.6)
    return close[0] if close else ""


def library(word: str) -> str:
    """The library that declares a name, or ''."""
    for path in sorted(STD.glob("*.anat")):
        if re.search(rf"^diagram {re.escape(word)}\b", path.read_text("utf-8"), re.M):
            return f"std.{path.stem}"
    return ""


@dataclass
class Module:
    """One file: its axes, its declarations by name, and the files it uses."""

    source: Source
    file: s.File
    axes: dict[str, s.AxisItem] = field(default_factory=dict)
    names: dict[str, s.DiagramDecl | s.RuleDecl | s.AnySpace | s.MemberDecl | s.FamilyDecl | s.DeriveDecl] = field(default_factory=dict)
    uses: dict[str, Module] = field(default_factory=dict)
    imported: dict[str, Module] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def span(self, node: s.Node) -> Span:
        return Span(self.source, *node.at)

    def report(self, code: str, message: str, at: s.Node, **more: object) -> None:
        self.diagnostics.append(Diagnostic(code, message, self.span(at), **more))  # type: ignore[arg-type]

    def find(self, name: s.QName) -> tuple[Module, str] | None:
        """The module in which a (dotted) name is declared, and its name there."""
        match [p.text for p in name.parts]:
            case [word] if word in self.names:
                return self, word
            case [word] if word in self.imported:
                return self.imported[word], word
            case [alias, word] if alias in self.uses and word in self.uses[alias].names:
                return self.uses[alias], word
            case [*outer, part]:
                found = self.find(s.QName(name.at, name.parts[:-1])) if outer else None
                if found is not None and f"{found[1]}.{part}" in found[0].names:
                    return found[0], f"{found[1]}.{part}"
        return None

    def known(self) -> list[str]:
        return [*self.names, *self.imported, *(f"{a}.{n}" for a, m in self.uses.items() for n in m.names)]


class Library:
    """Loads files once, refuses cycles, and keeps what it loaded."""

    def __init__(self) -> None:
        self.modules: dict[str, Module] = {}
        self._loading: list[str] = []

    def load(self, source: Source, base: Path | None) -> Module:
        """The module of a text; diagnostics are collected in it, syntax errors are raised."""
        module = Module(source, parse(source))
        self._declare(module, base)
        return module

    def load_file(self, path: Path, asked: Span | None = None, shown: str | None = None) -> Module:
        try:
            key = str(path.resolve())
        except (OSError, ValueError, RuntimeError) as error:
            raise fail("E100", f"`{shown or path}` cannot be read: {error}", asked) from None
        if len(self._loading) > MAX_FILES:
            raise fail("E104", f"files use files more than {MAX_FILES} deep", asked)
        if key in self._loading:
            raise fail("E206", f"`{path.name}` uses itself, through {len(self._loading)} file(s)", asked)
        if key not in self.modules:
            self._loading.append(key)
            try:
                self.modules[key] = self.load(read(path, asked, shown), path.resolve().parent)
            finally:
                self._loading.pop()
        return self.modules[key]

    def _declare(self, module: Module, base: Path | None) -> None:
        places: dict[str, s.Node] = {}

        def claim(name: s.Name) -> bool:
            word = name.text
            if word in RESERVED or word in WORDS or word == "causal":
                module.report("E205", f"`{word}` is a word of the language and cannot be declared", name)
                return False
            if word in places:
                module.report(
                    "E204", f"`{word}` is declared twice", name,
                    label="again here", secondary=(Label(module.span(places[word]), "first declared here"),),
                )  # fmt: skip
                return False
            places[word] = name
            return True

        for item in module.file.items:
            match item:
                case s.Lang(version=version) if version > LANGUAGE_VERSION:
                    module.report(
                        "E105", f"the file is written in version {version} of the language; this is version {LANGUAGE_VERSION}",
                        item, help="upgrade with `pip install --upgrade attention-anatomy`",
                    )  # fmt: skip
                case s.AxisDecl():
                    for axis in item.items:
                        if claim(axis.name):
                            module.axes[axis.name.text] = axis
                case s.DiagramDecl() | s.RuleDecl() | s.AnySpace() | s.MemberDecl() | s.FamilyDecl() | s.DeriveDecl():
                    if claim(item.name):
                        module.names[item.name.text] = item
                        if isinstance(item, s.DiagramDecl):
                            self._parts(module, item)
                case s.Use():
                    self._use(module, item, base, claim)
                case _:
                    pass

    def _parts(self, module: Module, declared: s.DiagramDecl) -> None:
        """A part is declared as `diagram.part`, which no plain name can be; so it may have an operation's name (`mask`)."""
        stack: list[s.Statement] = list(reversed(declared.body))
        while stack:
            match stack.pop():
                case s.Simd(body=body) | s.Repeat(body=body):
                    stack.extend(reversed(body))
                case s.PartDecl(name=name) as part:
                    full = f"{declared.name.text}.{name.text}"
                    if name.text in RESERVED:
                        module.report("E205", f"`{name.text}` is a word of the language and cannot be declared", name)
                    elif full in module.names:
                        first = module.names[full].name
                        module.report(
                            "E204", f"part `{name.text}` is declared twice", name,
                            label="again here", secondary=(Label(module.span(first), "first declared here"),),
                        )  # fmt: skip
                    else:
                        module.names[full] = part
                case _:
                    pass

    def _use(self, module: Module, item: s.Use, base: Path | None, claim: object) -> None:
        at = Span(module.source, *item.module_at)
        try:
            if isinstance(item.module, str):
                if not item.module.endswith(".anat"):
                    raise fail("E207", f"`{item.module}` is not an `.anat` file", at)
                found = self.load_file((base or Path.cwd()) / item.module, at, item.module)
            else:
                parts = [p.text for p in item.module.parts]
                if parts[0] != "std":
                    raise fail("E207", f"there is no library `{item.module.text}`", at, help='a file is used by its path: `use "mine.anat" as mine`')
                path = STD.joinpath(*parts[1:]).with_suffix(".anat") if len(parts) > 1 else STD / "missing.anat"
                if not path.is_file():
                    known = sorted(f"std.{p.stem}" for p in STD.glob("*.anat"))
                    raise fail("E207", f"there is no library `{item.module.text}`", at, help=f"there are: {', '.join(known)}")
                found = self.load_file(path, at)
        except AnatomyError as error:
            first = error.diagnostics[0]
            if first.span is not None and first.span.source is module.source:
                module.diagnostics.extend(error.diagnostics)
            else:
                module.diagnostics.append(Diagnostic("E207", f"the used file has errors: {first.message}", at))
                module.diagnostics.extend(error.diagnostics)
            for name in (*item.names, *((item.alias,) if item.alias else ())):
                claim(name)  # type: ignore[operator]
            return
        if item.alias is not None:
            if claim(item.alias):  # type: ignore[operator]
                module.uses[item.alias.text] = found
        for name in item.names:
            if name.text not in found.names:
                near = suggestion(name.text, found.names)
                module.report(
                    "E203", f"`{item.module.text if isinstance(item.module, s.QName) else item.module}` declares no `{name.text}`", name,
                    help=f"did you mean `{near}`?" if near else f"it declares: {', '.join(found.names)}",
                )  # fmt: skip
            elif claim(name):  # type: ignore[operator]
                module.imported[name.text] = found


def read(path: Path, asked: Span | None = None, shown: str | None = None) -> Source:
    """The text of a file. Raises E100 where it is missing, too big, binary or not UTF-8."""
    name = shown or str(path)
    try:
        if path.is_dir():
            raise fail("E100", f"`{name}` is a folder", asked, help="name the files in it")
        if path.exists() and not path.is_file():
            raise fail("E100", f"`{name}` is a pipe or a device, not a file", asked)
        if path.stat().st_size > MAX_BYTES:
            raise fail("E103", f"`{name}` has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read", asked)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise fail("E100", f"`{name}` cannot be read: {getattr(error, 'strerror', None) or error}", asked) from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise fail("E100", f"`{name}` is UTF-16 text; `.anat` files are UTF-8", asked, help="save it as UTF-8")
    if b"\0" in data:
        raise fail("E100", f"`{name}` is not a text: byte {data.index(0)} is zero", asked)
    try:
        return Source(str(path), data.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise fail("E100", f"`{name}` is not UTF-8: byte {error.start} is {data[error.start]:#04x}", asked, help="save it as UTF-8") from None
