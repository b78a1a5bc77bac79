"""The page of the zoo, `zoo/README.md`, and its pictures, made from the files themselves.

    python -m zoo.gallery            writes the page and the pictures that have changed
    python -m zoo.gallery --check    says which are not current; exit status 1 if any

Converts: heads, parts, diagrams, the table of second parties and the measured table of peers into Markdown and SVG.
Non-goals: anything that is not in those files; no number stands in this one.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import anatomy
from anatomy.library.entry import Entry, entries
from anatomy.library.exchange import groups

HERE = Path(__file__).resolve().parent
PAGE, PICTURES, WORDS, PEERS = HERE / "README.md", HERE / "gallery", HERE / "gallery.md", HERE / "peers.json"
SECOND_PARTIES = HERE.parent / "tests" / "oracles" / "table.py"
FOLDERS = {
    "softmax": "the layer as it was, and what stays closest to it",
    "score": "how a query meets a key",
    "normaliser": "what becomes of the scores",
    "position": "how positions enter",
    "mask": "who may read whom",
    "heads": "what heads share and how they are joined",
    "kernel": "products of features in place of the softmax, and low rank",
    "recurrent": "a state that is carried along",
    "mixing": "tokens mixed without queries or without keys",
    "pooling": "fewer queries or fewer keys",
}


def second_parties() -> dict[str, tuple[str, ...]]:
    """Which modules of which libraries each mechanism is compared with in the tests; {} outside a checkout."""
    if not SECOND_PARTIES.is_file():
        return {}
    for node in ast.parse(SECOND_PARTIES.read_text("utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "ORACLES" and node.value:
            return ast.literal_eval(node.value)
    return {}


def page() -> str:
    """The whole text of the page."""
    found = entries()
    checked = second_parties()
    words = WORDS.read_text("utf-8")
    by_library = sum(e.name in checked for e in found)
    libraries = {path.partition(".")[0] for paths in checked.values() for path in paths}
    papers = {e.head.reference for e in found}
    count = (
        f"{len(found)} mechanisms of {len(papers)} papers, {sum(len(e.parts) for e in found)} labelled parts. Each is compared with a formula written by hand "
        f"in float64 (values and gradients), {by_library} also with modules of {len(libraries)} independent libraries."
    )
    return words.replace("<!-- count -->", count).replace("<!-- gallery -->", "\n".join(_gallery(found, checked))).replace(
        "<!-- parts -->", "\n".join(_parts(found))
    ).replace("<!-- peers -->", "\n".join(_peers(found)))


def _gallery(found: tuple[Entry, ...], checked: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for folder, says in FOLDERS.items():
        members = [e for e in found if e.folder == folder]
        yield f"\n### `{folder}/`: {says} ({len(members)})\n"
        yield "| | mechanism | causal | equivariant | any length | cost | Lipschitz |"
        yield "|---|---|---|---|---|---|---|"
        for e in members:
            yield _row(e, checked.get(e.name, ()))


def _row(e: Entry, paths: tuple[str, ...]) -> str:
    head, claims = e.head, e.head.values()
    picture = f'<a href="gallery/{e.name}.svg"><img src="gallery/{e.name}.svg" width="120" alt="{e.name}"></a>'
    if head["arxiv"]:
        reference = f"[{head.reference}](https://arxiv.org/abs/{head['arxiv']})"
    else:
        reference = f"[{head.reference}]({head['url'] or 'https://doi.org/' + head['doi']})"
    labels = ", ".join(dict.fromkeys(p.name for p in e.parts))
    said = [f"**[`{e.name}`]({e.folder}/{e.path.name})** {_cell(head['title'])} ({head.year}, {reference})", _cell(head["idea"])]
    if labels:
        said.append(f"*parts:* {labels}")
    if paths:
        said.append("*checked against:* " + ", ".join(dict.fromkeys(f"`{p.partition('.')[0]}`" for p in paths)))
    verdict = claims["lipschitz"].replace("_", " ")
    return f"| {picture} | {'<br>'.join(s for s in said if s)} | {claims['causal']} | {claims['permutation-equivariant']} | {claims['length-generic']} | {_cell(claims['cost'])} | {verdict} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _parts(found: tuple[Entry, ...]) -> Iterator[str]:
    yield "| part | interface | mechanisms |"
    yield "|---|---|---|"
    for g in groups(found):
        if len(g.names) > 1:
            yield f"| {g.label} | `{g.signature}` | {len(g.names)} |"


def _peers(found: tuple[Entry, ...]) -> Iterator[str]:
    data = json.loads(PEERS.read_text("utf-8"))
    peers = data["peers"]
    yield "| | this zoo | " + " | ".join(f"{p['name']} {p['version']}" for p in peers) + " |"
    yield "|---|---|" + "---|" * len(peers)
    yield f"| attention mechanisms | {len(found)} | " + " | ".join(str(p["mechanisms"]) for p in peers) + " |"
    for key, says in data["rows"].items():
        ours = data["ours"][key]
        yield f"| {says} | {ours} | " + " | ".join(_cell(str(p["answers"][key])) for p in peers) + " |"
    yield ""
    yield data["note"]


def pictures() -> Iterator[tuple[Path, str]]:
    """Every picture with its place."""
    for e in entries():
        yield PICTURES / f"{e.name}.svg", anatomy.draw(anatomy.load(f"zoo:{e.name}")).svg


def stale() -> dict[Path, str | None]:
    """The files that are not what they would be now, each with what it would be; None for pictures of what is gone."""
    made = {PAGE: page(), **dict(pictures())}
    changed: dict[Path, str | None] = {p: text for p, text in made.items() if not p.is_file() or p.read_text("utf-8") != text}
    return changed | {p: None for p in sorted(PICTURES.glob("*.svg")) if p not in made}


def write() -> list[Path]:
    """Write what is not current; the files that were written or removed."""
    PICTURES.mkdir(exist_ok=True)
    changed = stale()
    for path, text in changed.items():
        if text is None:
            path.unlink()
        else:
            path.write_text(text, "utf-8")
    return list(changed)


if __name__ == "__main__":
    check = "--check" in sys.argv[1:]
    names = [str(p.relative_to(HERE.parent)) for p in (stale() if check else write())]
    print("\n".join(names) or "all current")
    sys.exit(1 if check and names else 0)
