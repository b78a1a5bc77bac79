"""Canonical labelling of a coloured graph: refinement, components, and a search with automorphisms.

The method of individualisation and refinement (McKay and Piperno, Practical graph isomorphism II, 2014),
cut down to what rooted diagrams need. Refinement alone settles nearly every diagram. What it leaves falls
into components, which are labelled one by one and sorted, so that k equal components cost k and not k!.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from anatomy.errors import fail

LIMIT = 1_000_000
"""Vertices coloured anew in one search, about ten seconds; a graph that needs more is refused, never guessed."""

Edge = tuple[int, int, str]
Colouring = Sequence[int] | Mapping[int, int]
Adjacent = Sequence[list[tuple[int, int]]] | Mapping[int, list[tuple[int, int]]]
Written = tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
Form = tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...], tuple[tuple[tuple[int, int], ...], ...]]


def label(names: Sequence[str], edges: Sequence[Edge]) -> tuple[list[int], Form]:
    """The vertices in canonical order, and the graph written in that order.

    `names` colours the vertices, `edges` are `(from, to, colour)`. Two graphs have equal forms exactly
    when they are isomorphic. Raises AnatomyError E505 when the search would take more than `LIMIT` steps.

    >>> label(["a", "b", "b"], [(0, 2, "e")])[1] == label(["b", "b", "a"], [(2, 1, "e")])[1]
    True
    """
    search = _Search(names, edges)
    order = search.order()
    return order, search.form(order)


class _Search:
    def __init__(self, names: Sequence[str], edges: Sequence[Edge]):
        self.colours = tuple(sorted(set(names)))
        self.marks = tuple(sorted({mark for _, _, mark in edges}))
        number = {mark: 2 * i for i, mark in enumerate(self.marks)}
        self.adjacent: list[list[tuple[int, int]]] = [[] for _ in names]
        for a, b, mark in edges:
            self.adjacent[a].append((number[mark], b))
            self.adjacent[b].append((number[mark] + 1, a))
        rank = {name: i for i, name in enumerate(self.colours)}
        self.names = [rank[name] for name in names]
        self.steps = 0
        self.found: list[list[tuple[int, int]]] = []
        """Automorphisms of the part and colouring at hand or of a coarser one, by what they move where."""

    def form(self, order: Sequence[int]) -> Form:
        place = [0] * len(order)
        for i, v in enumerate(order):
            place[v] = i
        rows = tuple(
            tuple(sorted([(mark, place[u]) for mark, u in self.adjacent[v] if not mark & 1])) for v in order
        )
        return self.colours, self.marks, tuple([self.names[v] for v in order]), rows

    def order(self) -> list[int]:
        everything = range(len(self.names))
        cells: dict[int, list[int]] = {}
        for v in everything:
            cells.setdefault(self.names[v], []).append(v)
        colour = [0] * len(self.names)
        numbered: dict[int, list[int]] = {}
        start = 0
        for name in sorted(cells):
            numbered[start] = cells[name]
            for v in cells[name]:
                colour[v] = start
            start += len(cells[name])
        _refine(self.adjacent, colour, numbered, list(numbered))
        return self.solve(list(everything), colour)

    def solve(self, scope: list[int], colour: Colouring, greedy: bool = False) -> list[int]:
        """An order of vertices whose colouring is stable: the canonical one, or with `greedy` one of many."""
        cells: dict[int, list[int]] = {}
        for v in scope:
            cells.setdefault(colour[v], []).append(v)
        order = [cells[c][0] for c in sorted(cells) if len(cells[c]) == 1]
        if len(order) == len(scope):
            return order
        parts = self.components({c: cell for c, cell in cells.items() if len(cell) > 1}, colour)
        solved: list[tuple[Written, list[int]]] = []
        guessed: dict[Written, tuple[list[int], list[int]]] = {}
        for part in parts:
            if len({colour[v] for v in part}) == len(part):
                best = sorted(part, key=lambda v: colour[v])
            elif greedy or len(parts) == 1:
                best = self.branch(part, colour, greedy)
            else:
                guess = self.branch(part, colour, greedy=True)
                written = self.written(guess, colour)
                if written in guessed:
                    # The same as an earlier part: take over its order.
                    to = dict(zip(guessed[written][0], guess, strict=True))
                    best = [to[v] for v in guessed[written][1]]
                    self.found.append(list(to.items()))
                else:
                    best = self.branch(part, colour)
                    guessed[written] = guess, best
            solved.append((self.written(best, colour), best))
        for _, best in sorted(solved, key=lambda pair: pair[0]):
            order.extend(best)
        return order

    def components(self, cells: dict[int, list[int]], colour: Colouring) -> list[list[int]]:
        """Parts that no edge joins, where an edge from every vertex of one cell to every one of another says nothing."""
        inside = {v: c for c, cell in cells.items() for v in cell}
        joins: dict[int, dict[int, dict[int, list[int]]]] = {v: {} for v in inside}
        for v, row in joins.items():
            for mark, u in self.adjacent[v]:
                if u in inside and u != v:
                    row.setdefault(inside[u], {}).setdefault(u, []).append(mark)
        dull: set[tuple[int, int]] = set()
        for c, cell in cells.items():
            for other in {o for v in cell for o in joins[v]}:
                many = len(cells[other]) - (c == other)
                if any(len(joins[v].get(other, ())) < many for v in cell):
                    continue
                # Every vertex of one cell meets every one of the other: if always in one way, it says nothing.
                kinds = {tuple(sorted(marks)) for v in cell for marks in joins[v][other].values()}
                if len(kinds) == 1:
                    dull.add((c, other))
        parts: list[list[int]] = []
        done: set[int] = set()
        for v in inside:
            if v in done:
                continue
            done.add(v)
            part, stack = [], [v]
            while stack:
                a = stack.pop()
                part.append(a)
                for other, near in joins[a].items():
                    if (inside[a], other) not in dull:
                        fresh = near.keys() - done
                        done |= fresh
                        stack.extend(fresh)
            parts.append(part)
        return parts

    def branch(self, part: list[int], colour: Colouring, greedy: bool = False) -> list[int]:
        """Try every vertex of the first cell that no known automorphism takes to one tried before.

        A quick guess at each vertex finds most automorphisms: guesses that read the same give one.
        """
        cells: dict[int, list[int]] = {}
        for v in part:
            cells.setdefault(colour[v], []).append(v)
        target = min((c for c in cells if len(cells[c]) > 1), key=lambda c: (len(cells[c]), c))
        members = set(part)
        inside = {v: [(mark, u) for mark, u in self.adjacent[v] if u in members] for v in part}
        if greedy:
            v = cells[target][0]
            return self.solve(part, self.individual(v, cells, target, inside), greedy=True)
        orbit = {v: v for v in part}
        known = len(self.found)

        def root(v: int) -> int:
            while orbit[v] != v:
                orbit[v] = orbit[orbit[v]]
                v = orbit[v]
            return v

        tried: list[int] = []
        best: tuple[Written, list[int]] | None = None
        seen: dict[Written, list[int]] = {}
        for v in cells[target]:
            for moves in self.found[known:]:
                for a, b in moves:
                    orbit[root(a)] = root(b)
            known = len(self.found)
            if any(root(v) == root(w) for w in tried):
                continue
            colouring = self.individual(v, cells, target, inside)
            guess = self.solve(part, colouring, greedy=True)
            written = self.written(guess, colour)
            if written in seen:
                self.found.append(list(zip(seen[written], guess, strict=True)))
                continue
            seen[written] = guess
            tried.append(v)
            order = self.solve(part, colouring)
            written = self.written(order, colour)
            if best is not None and written == best[0]:
                self.found.append(list(zip(best[1], order, strict=True)))
            elif best is None or written < best[0]:
                best = written, order
        assert best is not None
        return best[1]

    def individual(
        self, v: int, cells: dict[int, list[int]], target: int, inside: dict[int, list[tuple[int, int]]]
    ) -> dict[int, int]:
        """The stable colouring of a part in which one vertex has a colour of its own."""
        self.steps += len(inside)
        if self.steps > LIMIT:
            raise fail("E505", "this diagram is too symmetric to be compared")
        fine: dict[int, list[int]] = {}
        colour: dict[int, int] = {}
        start = 0
        first = 0
        for c in sorted(cells):
            pieces = [[v], [u for u in cells[c] if u != v]] if c == target else [cells[c]]
            if c == target:
                first = start
            for piece in pieces:
                fine[start] = piece
                for u in piece:
                    colour[u] = start
                start += len(piece)
        _refine(inside, colour, fine, [first])
        return colour

    def written(self, order: Sequence[int], colour: Colouring) -> Written:
        """The part as text: colours and edges among its vertices, in this order."""
        place = {v: i for i, v in enumerate(order)}
        return tuple(
            (colour[v], tuple(sorted([(mark, place[u]) for mark, u in self.adjacent[v] if u in place]))) for v in order
        )


def _refine(
    adjacent: Adjacent, colour: list[int] | dict[int, int], cells: dict[int, list[int]], first: Sequence[int]
) -> None:
    """Split cells until all vertices of one see every other in the same way.

    A cell is named by the place of its first vertex in the order, so names do not depend on how
    the graph was given.
    """
    queue = deque(first)
    waiting = set(first)
    alone = {cell[0] for cell in cells.values() if len(cell) == 1}
    while queue:
        name = queue.popleft()
        waiting.discard(name)
        seen: dict[int, list[int]] = {}
        for v in cells[name]:
            for mark, u in adjacent[v]:
                if u not in alone:
                    if u in seen:
                        seen[u].append(mark)
                    else:
                        seen[u] = [mark]
        touched: dict[int, list[int]] = {}
        for u in seen:
            touched.setdefault(colour[u], []).append(u)
        for c in sorted(touched):
            if c not in cells:
                continue
            found = touched[c]
            groups: dict[tuple[int, ...], list[int]] = {}
            for u in found:
                groups.setdefault(tuple(sorted(seen[u])), []).append(u)
            cell = cells[c]
            if len(found) < len(cell):
                inside = set(found)
                parts = [[u for u in cell if u not in inside]]
            elif len(groups) == 1:
                continue
            else:
                parts = []
            parts += [groups[key] for key in sorted(groups)]
            start = c
            starts = []
            for part in parts:
                cells[start] = part
                for u in part:
                    colour[u] = start
                if len(part) == 1:
                    alone.add(part[0])
                starts.append(start)
                start += len(part)
            if c in waiting:
                more = starts[1:]
            else:
                # All parts but a largest one: the last count follows from the others (Hopcroft).
                largest = max(range(len(parts)), key=lambda i: (len(parts[i]), -i))
                more = starts[:largest] + starts[largest + 1 :]
            queue.extend(more)
            waiting.update(more)
