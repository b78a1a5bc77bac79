"""The page of a folder of derivations, its `README.md`, and a film strip of each: made from the files themselves.

Converts: comments, derivations and their steps into Markdown and SVG; a derivation that does not hold is an error.
Non-goals: anything that is not in those files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from anatomy.errors import AnatomyError, fail
from anatomy.language import syntax as s
from anatomy.language.program import Program
from anatomy.rewrites.captions import MEANING, SIGNS
from anatomy.rewrites.derive import Derivation, derive_all
from anatomy.rewrites.film import Film, summary

PAGE = "README.md"


@dataclass(frozen=True)
class Chapter:
    """One file: its comments and its derivations, every one checked."""

    path: Path

    @cached_property
    def program(self) -> Program:
        program = Program.of_file(self.path)
        errors = [d for d in program.check() if d.severity == "error"]
        if errors:
            raise AnatomyError(*errors)
        return program

    @cached_property
    def derivations(self) -> tuple[Derivation, ...]:
        found = tuple(derive_all(self.program))
        wrong = [d for x in found for d in x.diagnostics]
        if wrong:
            raise AnatomyError(*wrong)
        return found

    @cached_property
    def films(self) -> dict[str, Film]:
        """The film strip of every derivation, by the name of its file."""
        rules = tuple(rule for name in self.program.names(s.RuleDecl) if (rule := self.program.rule(name)) is not None)
        return {f"{self.path.stem}.{d.name}.svg": Film(d, rules) for d in self.derivations}

    def comment(self, name: str = "") -> str:
        """The comment at the top of the file, or the one right above what has that name; its paragraphs are kept apart."""
        lines = self.program.root.source.text.splitlines()
        if name:
            node = self.program.root.names[name]
            end = self.program.root.span(node).line - 1
            start = end
            while start > 0 and lines[start - 1].startswith("#"):
                start -= 1
        else:
            start, end = 0, next((k for k, line in enumerate(lines) if not line.startswith("#")), len(lines))
        return "\n".join(line.removeprefix("#").strip() for line in lines[start:end]).strip()


def chapters(folder: Path) -> tuple[Chapter, ...]:
    """The files of a folder that declare a derivation, by name. Raises AnatomyError E203 where there is none."""
    found = tuple(c for c in map(Chapter, sorted(folder.glob("*.anat"))) if c.program.names(s.DeriveDecl))
    if not found:
        raise fail("E203", f"no file of `{folder}` declares a derivation")
    return found


def page(found: tuple[Chapter, ...]) -> str:
    """The whole text of the page."""
    every = [d for c in found for d in c.derivations]
    count = {sign: sum(d.relation == r for d in every) for r, sign in SIGNS.items()}
    steps = sum(len(d.lines) for d in every)
    lines = [
        "# Derivations", "",
        f"{len(every)} derivations in {len(found)} files, of {steps} steps, each checked by `anatomy derive`: "
        + ", ".join(f"{n} that end in {sign}" for sign, n in count.items() if n) + ".",
        "The relation of a derivation is the weakest of its steps:", "",
        *(f"- {SIGNS[r]} (`{r}`): {words}" for r, words in MEANING.items()),
        "- up to limits: the step reads a learner as anything that it approximates uniformly on compact sets; its law and its conditions stand beside it", "",
        "This page and the film strips are written by `anatomy derive FOLDER --book`. In a strip, what the next step takes is shaded, what a step made is green, "
        "a box that goes has a cross, and a letter that stands on both sides of a step marks one box that is moved, copied or merged.", "",
        "| file | derivation | relation | steps |", "|---|---|---|---|",
    ]  # fmt: skip
    for c in found:
        for d in c.derivations:
            lines.append(f"| [{c.path.name}]({c.path.name}) | [{d.name}](#{c.path.stem}.{d.name}) | {_relation(d)} | {len(d.lines)} |")
    for c in found:
        lines += ["", f"## [{c.path.stem}]({c.path.name})", "", c.comment(), *_chapter(c)]
    return "\n".join(lines) + "\n"


def _chapter(c: Chapter) -> Iterator[str]:
    for (file, _), d in zip(c.films.items(), c.derivations, strict=True):
        yield from ("", f'### <a id="{c.path.stem}.{d.name}"></a>{d.name}', "", f"{_relation(d)}, {summary(d)}.", "")
        if words := c.comment(d.name):
            yield from (words, "")
        yield from (f"[![{d.name}]({file})]({file})", "", "| | | by |", "|---|---|---|", f"| | `{d.left}` | |")
        for line in d.lines:
            by = ", ".join(f"`{b}`" for b in line.by) or "the same diagram"
            notes = [*line.laws, *line.conditions]
            limit = " up to limits" if line.limit else ""
            name = "" if line.name in ("?", "...") else f"`{line.name}`"
            yield f"| {SIGNS[line.relation]}{limit} | {name} | {_cell('; '.join([by, *notes]))} |"


def _relation(d: Derivation) -> str:
    limit = " (up to limits)" if d.limit else ""
    return f"`{d.left}` {SIGNS[d.relation]} `{d.right}`{limit}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def stale(folder: Path, found: tuple[Chapter, ...] = ()) -> dict[Path, str | None]:
    """The files that are not what they would be now, each with what it would be; None for pictures of what is gone.

    `found`: the files of the folder, where they have been read already.
    """
    found = found or chapters(folder)
    made = {folder / PAGE: page(found), **{folder / name: film.svg for c in found for name, film in c.films.items()}}
    changed: dict[Path, str | None] = {p: text for p, text in made.items() if not p.is_file() or p.read_text("utf-8") != text}
    return changed | {p: None for p in sorted(folder.glob("*.svg")) if p not in made}


def write(folder: Path) -> list[Path]:
    """Write the page and the pictures that are not current; the files that were written or removed."""
    changed = stale(folder)
    for path, text in changed.items():
        if text is None:
            path.unlink()
        else:
            path.write_text(text, "utf-8")
    return list(changed)
