"""The source file of a compiled diagram: imports, the functions it needs, and one `nn.Module`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from anatomy.compiler.emit import Emission
from anatomy.compiler.ensemble import AXIS, Ensemble, asked
from anatomy.compiler.names import MODULE, Names, attribute, class_name, comment, docstring, safe
from anatomy.compiler.passes import ALL, Note, optimised
from anatomy.compiler.runtime import FUNCTIONS
from anatomy.compiler.tables import Tables, commented, mentions
from anatomy.errors import Span, fail
from anatomy.ir.code import Operand
from anatomy.ir.graph import Diagram, Weight
from anatomy.ir.solve import Solution, solve


@dataclass(frozen=True)
class Generated:
    """Source text with the name of its class and the names of the inputs of `forward`."""

    source: str
    class_name: str
    inputs: tuple[str, ...]
    solution: Solution
    notes: tuple[Note, ...] = ()
    """What the passes did, in their order."""


def generate(
    diagram: Diagram, sizes: Mapping[str, int], lift: Sequence[str] = (), seed: int | Sequence[int] = 0, passes: Sequence[str] = ALL,
    ensemble: int | None = None, shared: Sequence[str] = (),
) -> Generated:  # fmt: skip
    """A standalone PyTorch source file for a diagram at given sizes.

    Every input and output has the lifted axes first, then its header layout (ruling 7). `passes` are those of
    `anatomy.compiler.passes` that rewrite the graph before the code is written; without any, every box is a line or so.
    With `ensemble` there are so many models in the module, and their axis is first of all (see `anatomy.compiler.ensemble`).
    Raises AnatomyError: E501 for open holes, E402, E403, E405, E406 for sizes, E407 for lifts, E410 for an ensemble.
    """
    if diagram.holes:
        raise fail(
            "E501", f"`{diagram.name}` has open holes and cannot be compiled: {', '.join(diagram.holes)}", diagram.span,
            help="fill them through a space: `anatomy space show TARGET --index 0`",
        )  # fmt: skip
    for axis in lift:
        if axis in diagram.sizes:
            raise fail("E407", f"`{axis}` is an axis of `{diagram.name}` and cannot be lifted over it")
        if not safe(axis):
            raise fail("E407", f"`{axis}` is no name for an axis")
    if len(set(lift)) < len(lift):
        raise fail("E407", "an axis is lifted twice")
    group = asked(diagram, ensemble, shared, lift, seed)
    solution = solve(diagram, sizes)
    notes: list[Note] = []
    diagram = optimised(diagram, solution, passes, notes)
    names = Names()
    inputs = [names.new(i.name, "x") for i in diagram.inputs]
    held = Names(MODULE)
    attributes = {w.wire: attribute(held, w.key) for w in diagram.weights}
    reals = [n for n, i in zip(inputs, diagram.inputs, strict=True) if diagram.wires[i.wire].kind.name == "real"]
    like = reals[0] if reals else f"self.{attributes[diagram.weights[0].wire]}" if diagram.weights else "reference"
    lead = (AXIS,) if group else ()
    emission = Emission(diagram, solution, names, (*lead, *lift), like, passes=tuple(passes))
    tables = Tables(like if like.isidentifier() else names.new("like"))
    if "static" in passes:
        emission.tables = tables
    for name, item in zip(inputs, diagram.inputs, strict=True):
        integer = diagram.wires[item.wire].kind.name == "index"
        emission.wires[item.wire] = Operand(name, (*(group.lead(item.name) if group else ()), *lift, *item.layout), integer=integer)
    for weight in diagram.weights:
        emission.wires[weight.wire] = Operand(f"self.{attributes[weight.wire]}", (*lead, *weight.layout))
    prologue = _prologue(diagram, solution, emission, inputs, group)
    emission.run()
    results = [emission.output(k) for k in range(len(diagram.outputs))]
    read = tables.read("\n".join([*(line.code for line in emission.lines), *results]))
    fixed = tables.sizes(emission.size_names.values())
    notes += [Note("static", f"`{n}` depends on sizes alone: it is computed once and kept", tables.names[n]) for n in read]
    notes += [Note("static", "what the loop does not change stands before it", span) for span in tables.before]
    if read:
        emission.lines.insert(0, tables.call(read, like, fixed))
        emission.helpers |= {"Tables", "kept"}
    method = tables.method(read, fixed) if read else []
    title = class_name(diagram.name)
    while title in emission.names.used:
        title += "Module"
    source = _assemble(diagram, title, inputs, attributes, solution, emission, prologue, results, seed, like, group, method)
    return Generated(source, title, tuple(inputs), solution, tuple(notes))


def file_name(span: Span) -> str:
    """The file's name without its folders, so that the source does not depend on where the file lies."""
    return re.split(r"[/\\\\]", span.source.path)[-1]


def _prologue(diagram: Diagram, solution: Solution, emission: Emission, inputs: list[str], group: Ensemble | None) -> list[str]:
    """Check the shapes of the inputs and read the sizes that are not known yet."""
    lines: list[str] = []
    known = {}
    if group:
        emission.size_names[AXIS] = str(group.size)
        if any(group.lead(i.name) for i in diagram.inputs):
            known[AXIS] = group.size
    for axis in dict.fromkeys(a for i in diagram.inputs for a in i.layout):
        value = solution.size(diagram.sizes[axis]).constant()
        if value is not None:
            known[axis] = value
    if not inputs:
        return lines
    emission.helper("axes")
    lines.append(f"sizes = {{{', '.join(f'{a!r}: {v}' for a, v in known.items())}}}")
    for name, item in zip(inputs, diagram.inputs, strict=True):
        where = f"{comment(file_name(item.span))}:{item.span.line}" if item.span else diagram.name
        axes = emission.wires[item.wire].axes
        lines.append(f"_axes({diagram.name!r}, {item.name!r}, {name}, {axes!r}, sizes, {where!r})")
    for axis in emission.lift:
        emission.size_names.setdefault(axis, f"sizes[{axis!r}]")
    needed = {v for p in diagram.sizes.values() for v in p.variables()} - solution.values.keys()
    for reading in solution.readings:
        target = emission.names.new(reading.variable.replace(".", "_"), "size")
        rest = emission.poly_code(-reading.rest) if reading.rest.terms else ""
        total = f"sizes[{reading.axis!r}]" + (f" + {rest}" if rest else "") if reading.axis else rest
        emission.size_names[reading.variable] = target
        if reading.variable in needed:
            if reading.slope == 1:
                lines.append(f"{target} = {total}")
            else:
                emission.helper("solve")
                where = f"{reading.axis} = {diagram.sizes[reading.axis]}" if reading.axis else reading.variable
                lines.append(f"{target} = _solve({diagram.name!r}, {reading.variable!r}, {total}, {reading.slope}, {where!r})")
    for axis in dict.fromkeys(a for i in diagram.inputs for a in i.layout):
        size = solution.size(diagram.sizes[axis])
        if size.constant() is None and not any(r.axis == axis for r in solution.readings):
            message = f"{diagram.name}: the sizes of the inputs contradict `{axis} = {diagram.sizes[axis]}`"
            lines += [f"if sizes[{axis!r}] != {emission.poly_code(size)}:", f"    raise ValueError({message!r})"]
    return lines


def _prune(lines: list[str], used: str) -> list[str]:
    """Drop size assignments that nothing reads."""
    kept: list[str] = []
    for line in reversed(lines):
        target, _, value = line.partition(" = ")
        if target.isidentifier() and target != "sizes" and not value.startswith("_solve"):
            rest = used + "\n".join(kept)
            if not mentions(rest, target):
                continue
        kept.insert(0, line)
    return kept


def _shape(weight: Weight, diagram: Diagram, solution: Solution) -> list[int]:
    return [solution.size(diagram.sizes[a]).constant() or 0 for a in weight.layout]


def initial(weight: Weight, diagram: Diagram, solution: Solution) -> tuple[str, str]:
    """The drawing expression of a weight and the words that explain it; fans come from named axes (ruling 16)."""
    def fan(axes: tuple[str, ...]) -> int:
        return prod(solution.size(diagram.sizes[a]).constant() or 1 for a in axes)

    fan_in, fan_out = fan(weight.fan_in), fan(weight.fan_out)
    args = weight.init.args
    note = f"{weight.init}: fan-in {fan_in}, fan-out {fan_out}"
    match weight.init.name:
        case "xavier":
            a = math.sqrt(6 / (fan_in + fan_out))
            return f"t.uniform_(-{a!r}, {a!r}, generator=g)", note
        case "xavier_normal":
            return f"t.normal_(0.0, {math.sqrt(2 / (fan_in + fan_out))!r}, generator=g)", note
        case "kaiming":
            a = math.sqrt(6 / fan_in)
            return f"t.uniform_(-{a!r}, {a!r}, generator=g)", note
        case "kaiming_normal":
            return f"t.normal_(0.0, {math.sqrt(2 / fan_in)!r}, generator=g)", note
        case "lecun":
            return f"t.normal_(0.0, {math.sqrt(1 / fan_in)!r}, generator=g)", note
        case "orthogonal":
            return f"_orthogonal(t, {fan_in}, {fan_out}, {float(args[0] if args else 1)!r}, g)", note
        case "identity" if fan_in == fan_out:
            return f"_identity(t, {fan_in})", note
        case "normal":
            return f"t.normal_(0.0, {float(args[0])!r}, generator=g)", str(weight.init)
        case "uniform":
            low, high = (-args[0], args[0]) if len(args) == 1 else args
            return f"t.uniform_({float(low)!r}, {float(high)!r}, generator=g)", str(weight.init)
        case "zeros" | "ones" | "constant":
            value = {"zeros": 0.0, "ones": 1.0}.get(weight.init.name, args[0] if args else 0.0)
            return f"t.fill_({float(value)!r})", str(weight.init)
        case "identity":
            raise fail("E401", f"`identity` maps {fan_in} numbers to {fan_out}", weight.span)
        case other:
            raise fail("E208", f"there is no initialiser `{other}`", weight.span)


def _assemble(
    diagram: Diagram, title: str, inputs: list[str], attributes: dict[int, str], solution: Solution, emission: Emission,
    prologue: list[str], results: list[str], seed: int | Sequence[int], like: str, group: Ensemble | None, method: list[str],
) -> str:  # fmt: skip
    weights = diagram.weights
    body = commented(emission.lines)
    body.append(f"return {', '.join(results)}" if len(results) > 1 else f"return {results[0]}")
    if like == "reference":
        body.insert(0, "reference = torch.zeros(())")
    code = "\n".join([*(line.code for line in emission.lines), *results])
    body = _prune(prologue, code) + body
    text = "\n".join([*method, *body])
    drawn = {w.init.name for w in weights} | ({"generator", *(["seeds"] if group else [])} if weights else set())
    helpers = [n for n in FUNCTIONS if n in emission.helpers or n in drawn]
    out: list[str] = []
    what = ", ".join(f"{a}={solution.size(p).constant() or p}" for a, p in diagram.sizes.items() if "." not in a and "~" not in a)
    models = f", {group.size} models in one" if group else ""
    where = f" from {docstring(file_name(diagram.span))}" if diagram.span else ""
    out += [f'"""`{docstring(diagram.name)}`{where}, compiled by attention-anatomy{models}. Sizes: {docstring(what)}."""', ""]
    imports = ["import hashlib"] if weights else []
    functions = "".join(FUNCTIONS[n] for n in helpers)
    if re.search(r"\bmath\.", text + functions):
        imports.append("import math")
    if imports:
        out += [*imports, ""]
    out.append("import torch")
    if re.search(r"(?<![\w.])F\.", text + functions):
        out.append("import torch.nn.functional as F")
    out += ["from torch import nn", ""]
    for name in helpers:
        out += [FUNCTIONS[name].rstrip(), ""]
    out += ["", f"class {title}(nn.Module):"]
    signature = [f"{n}: {_type(emission.wires[i.wire].axes)}" for n, i in zip(inputs, diagram.inputs, strict=True)]
    outs = " and ".join(_type((*emission.lift, *o.layout)) for o in diagram.outputs)
    out += [f'    """{", ".join(signature)} -> {outs}."""', ""]
    if weights:
        out += _weights(diagram, attributes, solution, seed if isinstance(seed, int) else tuple(seed), group)
    elif method:
        out += ["    def __init__(self):", "        super().__init__()", ""]
    if method:
        out.insert(out.index("        super().__init__()") + 1, "        self._tables = _Tables()")
    if group:
        out += group.members()
    out += method
    args = ", ".join(["self", *inputs])
    out.append(f"    def forward({args}):")
    out += [f"        {line}" for line in body]
    return "\n".join(out) + "\n"


def _type(axes: Sequence[str]) -> str:
    return docstring(f"[{', '.join(axes)}]")


def _weights(
    diagram: Diagram, attributes: dict[int, str], solution: Solution, seed: int | tuple[int, ...], group: Ensemble | None
) -> list[str]:
    out = [f"    def __init__(self, seed={seed}, dtype=None, device=None):", "        super().__init__()"]
    for w in diagram.weights:
        name = attributes[w.wire]
        shape = _shape(w, diagram, solution)
        empty = f"torch.empty({tuple(group.of(shape) if group else shape)}, dtype=dtype, device=device)"
        axes = comment(f"[{', '.join((*([AXIS] if group else []), *w.layout))}]")
        if w.frozen:
            out.append(f'        self.register_buffer("{name}", {empty})  # {axes}')
        else:
            out.append(f"        self.{name} = nn.Parameter({empty})  # {axes}")
    renamed = {attributes[w.wire]: w.keys for w in diagram.weights if w.keys != (attributes[w.wire],)}
    if renamed:
        out += [
            "        self.register_state_dict_post_hook(self._save_keys)",
            "        self.register_load_state_dict_pre_hook(self._load_keys)",
        ]
    out += ["        self.reset_parameters(seed)", ""]
    draws = []
    for w in diagram.weights:
        draw, words = initial(w, diagram, solution)
        draws.append(f'            ("{attributes[w.wire]}", {w.key!r}, lambda t, g: {draw}),  # {words}')
    out += group.reset(seed, draws) if group else [
        "    @torch.no_grad()",
        f"    def reset_parameters(self, seed={seed}):",
        '        """Draw every weight anew, in float64, from its own stream."""',
        "        for name, key, draw in (",
        *draws,
        "        ):",
        "            weight = getattr(self, name)",
        "            weight.copy_(draw(torch.empty(weight.shape, dtype=torch.float64), _generator(seed, key)))",
        "",
    ]  # fmt: skip
    if renamed:
        table = ", ".join(f"{a!r}: {k!r}" for a, k in renamed.items())
        out += [
            f"    KEYS = {{{table}}}",
            "",
            "    @staticmethod",
            "    def _save_keys(module, state, prefix, metadata):",
            '        """Attributes to the keys of the diagram."""',
            "        values = {name: state.pop(prefix + name) for name in module.KEYS if prefix + name in state}",
            "        state.update({prefix + key: value for name, value in values.items() for key in module.KEYS[name]})",
            "",
            "    @staticmethod",
            "    def _load_keys(module, state, prefix, *rest):",
            '        """Keys of the diagram to attributes."""',
            "        values = {}",
            "        for name, keys in module.KEYS.items():",
            "            for key in keys:",
            "                if prefix + key in state:",
            "                    values[prefix + name] = state.pop(prefix + key)",
            "        state.update(values)",
            "",
        ]
    return out
