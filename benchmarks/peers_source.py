"""What can be counted in source without running it: lines to read, bodies that are alike, imports."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

Definition = ast.ClassDef | ast.FunctionDef
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
COMPUTES = {"softmax", "scaled_dot_product_attention", "matmul", "bmm", "baddbmm", "einsum", "attention_interface", "cumsum", "fftn"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def top(path: Path) -> dict[str, ast.stmt]:
    """The statements that define the names of a file."""
    found: dict[str, ast.stmt] = {}
    for statement in tree(path).body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            found[statement.name] = statement
        for target in getattr(statement, "targets", []) if isinstance(statement, ast.Assign) else []:
            if isinstance(target, ast.Name):
                found[target.id] = statement
    return found


@cache
def neighbours(path: Path) -> dict[str, tuple[Path, str]]:
    """Names that a file imports from files of its own folder."""
    found = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            near = path.parent / (node.module.rpartition(".")[2] + ".py")
            own = node.level == 1 or (node.level == 0 and node.module.split(".")[-2:-1] == [path.parent.name])
            if own and near.is_file() and near != path:
                found.update({a.asname or a.name: (near, a.name) for a in node.names})
    return found


@cache
def code_lines(path: Path) -> frozenset[int]:
    """The lines of a file that are neither blank nor comments nor docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type not in SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(lines)


class Bare(ast.NodeTransformer):
    """Without annotations and docstrings."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.copy_location(ast.arg(node.arg), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], self.visit(node.value)), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        kept = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
        made = ast.FunctionDef(node.name, node.args, kept or [ast.Pass()], [], None)
        made.type_params = []
        return self.generic_visit(ast.copy_location(made, node))


def bare(node: ast.stmt) -> ast.stmt:
    text = ast.unparse(node)
    return Bare().visit(ast.parse(text)).body[0]


def closure(path: Path, name: str, same_file: bool = False) -> list[tuple[Path, str]]:
    """A definition and all that its body names, transitively, in its own file and in files of the same folder."""
    found: list[tuple[Path, str]] = []
    waiting = [(path, name)]
    while waiting:
        place = waiting.pop()
        if place in found:
            continue
        at, label = place
        statement = top(at).get(label)
        if statement is None:
            if label in neighbours(at) and not same_file:
                waiting.append(neighbours(at)[label])
            continue
        found.append(place)
        for node in ast.walk(bare(statement)):
            if isinstance(node, ast.Name):
                waiting.append((at, node.id))
    return found


def lines_to_read(path: Path, name: str) -> int:
    """Lines of code in the closure of a definition."""
    total = set()
    for at, label in closure(path, name):
        node = top(at)[label]
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        total |= {(at, k) for k in range(first, (node.end_lineno or node.lineno) + 1) if k in code_lines(at)}
    return len(total)


def text_of(path: Path, name: str) -> str:
    """The source of a definition with its comments, behind the docstring of its file."""
    said = ast.get_docstring(tree(path)) or ""
    return said + "\n" + (ast.get_source_segment(path.read_text("utf-8"), top(path)[name]) or "")


def own_imports(path: Path, package: str) -> bool:
    """Does a file import from its own package?"""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == package):
            return True
        if isinstance(node, ast.Import) and any(a.name.split(".")[0] == package for a in node.names):
            return True
    return False


def method(node: ast.stmt, name: str) -> ast.FunctionDef | None:
    return next((m for m in getattr(node, "body", []) if isinstance(m, ast.FunctionDef) and m.name == name), None)


def computes(path: Path, name: str) -> bool:
    """Does `forward`, with what it calls in the same file, multiply matrices or take a softmax?"""
    return any(
        (isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult))
        or (isinstance(n, ast.Attribute) and n.attr in COMPUTES)
        or (isinstance(n, ast.Name) and n.id in COMPUTES)
        for f in bodies(path, name)
        for n in ast.walk(f)
    )


def bodies(path: Path, name: str) -> Iterator[ast.FunctionDef]:
    """`forward`, then the methods and the functions of the same file that it calls, transitively, in the order met."""
    node = top(path)[name]
    waiting, met = ["self.forward"], set()
    while waiting:
        label = waiting.pop(0)
        if label in met:
            continue
        met.add(label)
        own = label.startswith("self.")
        f = method(node, label[5:]) if own else top(path).get(label)
        if not isinstance(f, ast.FunctionDef):
            continue
        clean = bare(f)
        assert isinstance(clean, ast.FunctionDef)
        yield clean
        for n in ast.walk(clean):
            if isinstance(n, ast.Name):
                waiting.append(n.id)
            elif isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self":
                waiting.append(f"self.{n.attr}")


def fingerprint(path: Path, name: str) -> str:
    """A hash of `bodies` up to names: arguments, variables and attributes of `self` are numbered as they are met.

    What a method of a tensor or a function of torch is called stays.
    """
    made = []
    for f in bodies(path, name):
        bound = {n.arg for n in ast.walk(f) if isinstance(n, ast.arg)}
        bound |= {n.id for n in ast.walk(f) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        numbers: dict[str, int] = {}

        def number(label: str, numbers: dict[str, int] = numbers) -> str:
            return f"_{numbers.setdefault(label, len(numbers))}"

        for n in ast.walk(f):
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self":
                n.attr = number(f"self.{n.attr}")
            elif isinstance(n, ast.Name) and n.id in bound and n.id != "self":
                n.id = number(n.id)
            elif isinstance(n, ast.arg) and n.arg != "self":
                n.arg = number(n.arg)
            elif isinstance(n, ast.FunctionDef):
                n.name = "_"
        made.append(ast.dump(f))
    return hashlib.sha256("\n".join(made).encode()).hexdigest()
