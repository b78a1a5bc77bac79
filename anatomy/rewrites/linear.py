"""Linear maps of axes, applied to what depends on the axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from anatomy.ir.op import Op
from anatomy.ops import Shift
from anatomy.rewrites.atoms import Ref
from anatomy.rewrites.products import Algebra
from anatomy.rewrites.terms import Factor, Sum, Term, opened


@dataclass
class Linear:
    """Linear maps over the sums of an algebra."""

    algebra: Algebra

    def mapped(self, op: Op, own: Sequence[str], terms: Sum, others: Iterable[Ref] = (), out: int = 0) -> Sum | None:
        """A linear map of some axes of a sum, term by term."""
        algebra, atoms = self.algebra, self.algebra.atoms
        reads: list[tuple[Ref, Iterable[str]]] = [(ref, ()) for ref in others]
        if any(set(own).intersection(ref[1]) for ref, _ in reads):
            return None
        held = op.takes(tuple(own), 0, 1 + len(reads))[1]
        found = []
        for t in terms:
            factors, names = opened(t)
            later = algebra.order.shifted(Term(t.coefficient, tuple(factors)), own[0]) if op == Shift(1) else None
            if later is not None:
                found.extend(algebra.bind(later, names))
                continue
            inner = tuple(sorted([f for f in factors if held.intersection(f.args)]))
            outer = tuple([f for f in factors if not held.intersection(f.args)])
            ref = atoms.ref((Term(1, inner),))
            made, args = atoms.box(op, own, [(ref, held), *reads])[out]
            term = algebra.times(Term(t.coefficient, outer), Term(1, (Factor(made, args),)))
            found.extend(algebra.bind(term, names))
            algebra.used("project_after_cumsum")
        return algebra.collect(found)
