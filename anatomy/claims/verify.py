"""Claims against what the graph proves and what the compiled module does; a false claim is an error that points.

Converts: a file with a head into diagnostics: E951 for a claim that is false, E952 for one or a size that is not understood,
E953 for one that is missing,
W951 and W952 for one that neither analysis nor trial decides. Non-goals: bounds; the Lipschitz claim is tested by trying to refute it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anatomy.claims.behaviour import leak, lengths, moved_by_permutation
from anatomy.claims.cost import claimed, cost_of, growing, matches
from anatomy.claims.head import KEYS, Claim, Head, read_head
from anatomy.claims.jump import jump
from anatomy.claims.secant import CLOSE, overturned
from anatomy.claims.sizes import LARGEST, stated_sizes, unread
from anatomy.claims.steepness import GROWTH, balanced, growth
from anatomy.claims.trial import Trial, one_thread
from anatomy.errors import AnatomyError, Diagnostic, Source, Span, fail
from anatomy.ir.analysis import Analysis, analyse
from anatomy.ir.graph import Diagram
from anatomy.language import syntax as s
from anatomy.language.program import Program


def verify(file: Path | Source, name: str = "") -> tuple[Diagnostic, ...]:
    """Everything wrong with the claims of a file about its diagram `name` (by default the last one).

    Raises AnatomyError with the diagnostics of the file where it has errors.
    """
    program = Program.of(file, Path(file.path).parent) if isinstance(file, Source) else Program.of_file(file)
    found = program.check()
    if any(d.severity == "error" for d in found):
        raise AnatomyError(*(d for d in found if d.severity == "error"))
    names = [name] if name else program.names(s.DiagramDecl)
    if not names:
        raise fail("E203", f"`{program.root.source.path}` declares no diagram")
    return judge(read_head(program.root.source), program.get(names[-1]))


def judge(head: Head, diagram: Diagram) -> tuple[Diagnostic, ...]:
    """The diagnostics of a head's claims about a diagram."""
    found = list(head.diagnostics)
    missing = [k for k in KEYS if k not in head.claims]
    if missing and not found:
        start = Span(head.source, 0, max(head.source.text.find("\n"), 0))
        found.append(Diagnostic("E953", f"nothing is claimed of: {', '.join(missing)}", start, help="a head has a line `# claims: causal=...; permutation-equivariant=...; length-generic=...; cost=...; lipschitz=...`"))
    judged = _Judge(head, diagram)
    found += judged.misstated()
    with one_thread():
        for key, claim in head.claims.items():
            judged.of(key, claim)
    return tuple(sorted([*found, *judged.found], key=lambda d: d.order))


class _Judge:
    """One diagram under trial."""

    def __init__(self, head: Head, diagram: Diagram):
        self.head, self.diagram = head, diagram
        self.trial = Trial(diagram, stated_sizes(head["sizes"]))
        self.known: Analysis = analyse(diagram)
        self.settled = diagram.settled
        self.grown = growing(diagram, head["grows"])
        self.found: list[Diagnostic] = []

    def misstated(self) -> Iterator[Diagnostic]:
        """What the lines `# sizes:` and `# grows:` say that cannot be."""
        for part in unread(self.head["sizes"]):
            yield Diagnostic("E952", f"the size `{part}` is not understood", self.head.spans["sizes"], help=f"`# sizes: n = 8, c = 2`, from 1 to {LARGEST}")
        if single := [a for a in self.trial.token_axes if self.trial.sizes[a] == 1]:
            yield Diagnostic("E952", f"at one token, `{single[0]} = 1`, every claim holds", self.head.spans.get("sizes"), help="state at least 2")
        counts = {v for a in self.trial.token_axes for v in self.settled.of(self.diagram.sizes[a]).variables()}
        for name in self.grown if self.head["grows"] else ():
            if name not in counts:
                yield Diagnostic("E952", f"`{name}` does not count tokens", self.head.spans["grows"], help=f"what may grow: {', '.join(sorted(counts)) or 'nothing'}")

    def of(self, key: str, claim: Claim) -> None:
        match key:
            case "causal":
                self.yes_or_no(claim, self.known.causal is True, leak(self.trial), "no output looks at the future")
            case "permutation-equivariant":
                self.yes_or_no(claim, self.known.equivariant is True, moved_by_permutation(self.trial), "permuting tokens permutes outputs")
            case "length-generic":
                self.yes_or_no(claim, self.free(), lengths(self.trial, self.grown), "one set of weights serves every length")
            case "cost":
                self.cost(claim)
            case _:
                self.lipschitz(claim)

    def free(self) -> bool:
        """Whether the graph proves that one set of weights serves every length that grows as the head says."""
        held = {v for w in self.diagram.weights for a in w.layout for v in self.settled.of(self.diagram.sizes[a]).variables()}
        return self.known.length_generic and not held & set(self.grown)

    def false(self, claim: Claim, *notes: str, help: str = "") -> None:
        self.found.append(Diagnostic("E951", f"the claim `{claim.key}={claim.value}` is false of `{self.diagram.name}`", claim.span, notes=notes, help=help))

    def yes_or_no(self, claim: Claim, proved: bool, witness: str, meaning: str) -> None:
        """Analysis and trial must agree with the claim and with each other."""
        if claim.value == "yes" and witness:
            self.false(claim, witness)
        elif claim.value == "no" and proved:
            self.false(claim, f"the graph proves it: {meaning}")
        elif claim.value == "no" and not witness:
            self.false(claim, f"no trial refutes it: {meaning}")
        elif claim.value == "yes" and not proved and claim.key not in self.head["unproved"]:
            self.found.append(
                Diagnostic(
                    "W951", f"the claim `{claim.key}=yes` holds in every trial, but the graph does not prove it", claim.span,
                    help=f"if it holds for a reason that the analysis cannot see, say so: `# unproved: {claim.key}`",
                )
            )  # fmt: skip

    def cost(self, claim: Claim) -> None:
        names = {}
        for axis in self.trial.token_axes:
            terms = self.settled.of(self.diagram.sizes[axis]).terms
            names[axis] = tuple((v, p) for v, p in terms[-1][0] if v in self.grown) if len(terms) == 1 else ()
        strange = sorted({a for powers in claimed(claim.value).leading for a, _ in powers} - {*names, *self.diagram.sizes, *self.diagram.free_sizes()})
        if strange:
            help = f"what may grow: {', '.join(self.grown) or 'nothing'}"
            self.found.append(Diagnostic("E952", f"the cost names `{strange[0]}`, which is no axis of `{self.diagram.name}`", claim.span, help=help))
            return
        found = cost_of(self.diagram, self.grown)
        if not matches(claimed(claim.value), found, names):
            self.false(claim, f"its boxes, as they are written, cost {found}, with {', '.join(self.grown) or 'nothing'} growing")

    def lipschitz(self, claim: Claim) -> None:
        leap = jump(self.trial)
        if claim.value == "not_lipschitz_on_domain":
            if not leap:
                self.false(claim, "no jump was found along random segments")
            return
        if leap and claim.value != "unknown":
            self.false(claim, f"it is not continuous: the output jumps by {leap:.3g}", help="the verdict is `not_lipschitz_on_domain`")
            return
        if claim.value == "unknown":
            return
        steeper = 0.0
        for search in (growth, overturned, balanced):
            steeper = max(steeper, search(self.trial))
            if steeper > GROWTH:
                break
        if claim.value == "globally_lipschitz" and steeper > GROWTH:
            self.false(claim, f"derivatives grow {steeper:.3g} times as inputs grow a hundred times")
        if claim.value == "not_globally_lipschitz" and steeper <= GROWTH:
            if claim.key not in self.head["unwitnessed"] and overturned(self.trial, CLOSE) <= GROWTH:
                self.found.append(
                    Diagnostic(
                        "W952", "no growth of the derivative was found, so nothing shows that there is no Lipschitz constant", claim.span,
                        notes=(f"as inputs grow a hundred times, the steepest derivative found grows {steeper:.3g} times",),
                        help="if the reason is known, give it: `# unwitnessed: lipschitz, for values grow apart while scores stay equal`",
                    )
                )  # fmt: skip
