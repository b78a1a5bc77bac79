"""`zoo list|show|diff`: the library of attention mechanisms."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any

from anatomy.cli.output import add_json, emit
from anatomy.errors import fail
from anatomy.language.scope import suggestion
from anatomy.target import zoo_files


def add(name: str, parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all mechanisms with title and year")
    listing.add_argument("--causal", action="store_true", help="only those that claim to be causal")
    add_json(listing)
    listing.set_defaults(run=show_all)
    one = actions.add_parser("show", help="the text of one")
    one.add_argument("name")
    one.set_defaults(run=show_one)
    two = actions.add_parser("diff", help="what distinguishes two, line by line")
    two.add_argument("left")
    two.add_argument("right")
    two.set_defaults(run=diff)


def header(path: Path) -> dict[str, Any]:
    """The `# key: value` lines at the head of a zoo file."""
    fields: dict[str, Any] = {}
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        key, colon, value = line.lstrip("# ").partition(":")
        if colon and " " not in key.strip():
            fields[key.strip()] = value.strip()
    return fields


def entry(name: str, path: Path) -> dict[str, Any]:
    fields = header(path)
    claims = {
        k.strip(): v.strip()
        for k, _, v in (c.partition("=") for c in fields.get("claims", "").split(";" if ";" in fields.get("claims", "") else ","))
        if k.strip()
    }
    year = fields.get("year", "")
    return {
        "name": name,
        "title": fields.get("title", name),
        "authors": fields.get("authors", ""),
        "year": int(year) if year.isdigit() else None,
        "arxiv": fields.get("arxiv", fields.get("arXiv", "")),
        "claims": claims,
        "file": str(path),
    }


def show_all(options: argparse.Namespace) -> int:
    rows = [entry(n, p) for n, p in zoo_files().items() if not n.startswith("spaces/")]
    if options.causal:
        rows = [r for r in rows if str(r["claims"].get("causal", "")).startswith(("yes", "true"))]
    if options.json:
        emit(rows)
        return 0
    width = max((len(r["name"]) for r in rows), default=0)
    for row in rows:
        print(f"{row['name']:<{width}}  {row['year'] or '':<4}  {row['title']}")
    return 0


def text_of(name: str) -> list[str]:
    files = zoo_files()
    name = name.removeprefix("zoo:")
    if name not in files:
        near = suggestion(name, files)
        raise fail("E203", f"the zoo has no `{name}`", help=f"did you mean `{near}`?" if near else "`anatomy zoo list` shows all")
    return files[name].read_text("utf-8").splitlines()


def show_one(options: argparse.Namespace) -> int:
    print("\n".join(text_of(options.name)))
    return 0


def diff(options: argparse.Namespace) -> int:
    lines = list(difflib.unified_diff(text_of(options.left), text_of(options.right), options.left, options.right, lineterm="", n=1))
    print("\n".join(lines))
    return 1 if lines else 0
