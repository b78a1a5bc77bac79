"""The map of the zoo, `zoo/map.json`, with its picture and its page, computed from the files themselves.

    python -m zoo.map            computes the map and writes what has changed
    python -m zoo.map --check    says whether the map is of the present files, and proves every tenth edge again; exit status 1 if not

Non-goals: a relation that is written by hand; there is none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from anatomy.library import record
from anatomy.library.atlas import Atlas, build
from anatomy.library.chart import chart
from anatomy.library.entry import entries
from anatomy.render.svg import svg

HERE = Path(__file__).resolve().parent
DATA, PICTURE, PAGE = HERE / "map.json", HERE / "map.svg", HERE / "MAP.md"


def texts(atlas: Atlas) -> dict[Path, str]:
    """Every file that is made of a map."""
    return {DATA: json.dumps(record.data(atlas), indent=1, ensure_ascii=False) + "\n", PICTURE: svg(chart(atlas)), PAGE: record.page(atlas)}


def stale() -> list[str]:
    """What is not current: mechanisms whose text has changed since the map was computed, and files that the map does not make."""
    found = json.loads(DATA.read_text("utf-8"))
    now = record.stamps(e.name for e in entries())
    changed = sorted(n for n in now.keys() | found["texts"].keys() if now.get(n) != found["texts"].get(n))
    made = {PAGE: record.page(record.read(found))}
    return [*changed, *(p.name for p, text in made.items() if p.read_text("utf-8") != text)]


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        old = stale()
        wrong = [e for e in record.read(json.loads(DATA.read_text("utf-8"))).edges[::10] if not record.again(e)]
        print("\n".join([f"not current: {n}" for n in old] + [f"not proved: {e.left} {e.relation} {e.right}" for e in wrong]) or "current")
        return 1 if old or wrong else 0
    for path, text in texts(build()).items():
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
