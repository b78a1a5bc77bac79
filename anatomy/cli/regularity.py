"""`regularity`: how far a variant can move its outputs when its inputs move."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anatomy.cli import certificate
from anatomy.cli.output import add_json, add_sizes, emit, sizes
from anatomy.errors import fail
from anatomy.target import load_diagram

NORMS = ("frobenius", "max_token", "wasserstein1", "wasserstein2", "wasserstein_inf")
EFFORTS = ("none", "order", "quick", "thorough")


def add(name: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", nargs="?")
    add_sizes(parser)
    parser.add_argument("--seed", type=int, default=0, help="fixes the initialisation")
    parser.add_argument("--radius", type=float, default=1.0, help="every token in a ball of this radius; inf for the whole space")
    parser.add_argument("--norm", choices=NORMS, default="frobenius", help="of tokens, or of measures of any number of them")
    parser.add_argument(
        "--growth", choices=EFFORTS, default="quick",
        help="in tokens and radius: nothing, the order of the bound, and what is attained measured in seconds or thoroughly",
    )  # fmt: skip
    parser.add_argument("--plot", metavar="FILE", help="draw the bound and what is attained against tokens and radius (.svg)")
    parser.add_argument("--around", metavar="FILE", help="inputs by name (.npz or .json): the domain is the ball of the radius round them")
    parser.add_argument("--branch", type=float, metavar="SECONDS", help="how long branch and bound may improve the bound")
    certificate.add(parser)
    add_json(parser)
    parser.set_defaults(run=regularity)


def regularity(options: argparse.Namespace) -> int:
    from anatomy.api import regularity as certify
    from anatomy.regularity.growth import QUICK, THOROUGH

    if options.verify:
        return certificate.verify(options)
    if not options.target:
        print("anatomy regularity: name a TARGET, or a certificate with --verify", file=sys.stderr)
        return 2
    if not options.radius >= 0:
        raise fail("E902", f"a radius of {options.radius} is no radius", help="give a number from 0 to inf")
    if (options.around or options.branch) and (options.certificate or options.plot):
        raise fail("E902", "a certificate and a plot are of the bound on token balls", help="leave out `--around` and `--branch`")
    if options.plot and (not options.plot.endswith(".svg") or not Path(options.plot).absolute().parent.is_dir()):
        raise fail("E902", f"a plot cannot be written to `{options.plot}`", help="name an .svg file in a folder that exists")
    diagram = load_diagram(options.target)
    effort = {"none": False, "order": True, "quick": QUICK, "thorough": THOROUGH}[options.growth]
    found = certify(diagram, sizes(options.size), options.radius, options.norm, options.seed, growth=effort, advice=not options.json,
                    around=inputs(options.around) if options.around else None, branch=options.branch)  # fmt: skip
    data = found.model_dump(mode="json")
    proof = certificate.write(options, data) if options.certificate else []
    if options.plot:
        from anatomy.cli.curves import picture

        Path(options.plot).write_text(picture(options.target, data["growth"]), "utf-8")
    if options.json:
        emit(data)
        return 0
    print(f"{options.target}: {data['verdict'].replace('_', ' ')}")
    for line in lines(data):
        print("  " + line)
    if options.plot:
        print(f"  plot         {options.plot}")
    for row, text in proof:
        print(f"  {row:<12} {text}")
    return 0


def inputs(path: str) -> dict[str, Any]:
    """Arrays by the names of inputs, from an `.npz` or a JSON object of nested lists."""
    import json

    import numpy as np

    try:
        if path.endswith(".npz"):
            with np.load(path, allow_pickle=False) as held:
                return {name: np.asarray(held[name], dtype=np.float64) for name in held.files}
        return {name: np.asarray(value, dtype=np.float64) for name, value in json.loads(Path(path).read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise fail("E902", f"`{path}` holds no inputs: {error}", help="give arrays by input name, as .npz or as a JSON object") from None


def lines(data: Mapping[str, Any]) -> list[str]:
    """A result for a person, one fact a line."""
    rows: list[tuple[str, str]] = [("domain", data["domain"]), ("norm", data["norm"])]
    if data["upper"] is not None:
        rows.append(("upper", f"{rounded(data['upper'], up=True)}  (proved: {data['method']})"))
    if data["lower"] is not None:
        rows.append(("lower", f"{rounded(data['lower'], up=False)}  (attained{_start(data['certificate'])})"))
    if data["ratio"] is not None:
        rows.append(("ratio", rounded(data["ratio"], up=True)))
    for other in NORMS:
        if other != data["norm"] and data["certificate"].get(other) is not None:
            rows.append((other, f"{rounded(data['certificate'][other], up=True)}  (proved, in that norm)"))
    rows += _contraction(data["certificate"].get("contraction"))
    if data["responsible"] is not None:
        rows.append(("responsible", data["responsible"]))
    if data["certificate"].get("reason"):
        rows.append(("reason", data["certificate"]["reason"]))
    against = data["certificate"].get("against")
    if against:
        rows.append(("because", f"{against['family']}: numerical evidence, not a proof"))
    rows += _whole(data)
    for axis, growth in data["growth"].items():
        rows.append((f"growth in {'R' if axis == 'radius' else axis}", _growth(growth)))
    rows += _advice(data.get("advice") or {})
    return [f"{name:<12} {text}" for name, text in rows]


def _contraction(found: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What a stack of the layer does, where it is a map of measures."""
    if not found:
        return []
    if found["rate"] is not None:
        return [("contraction", f"a stack with these weights converges to one point at the rate {rounded(found['rate'], up=True)}")]
    why = "tau is not below 1" if found["tau"] is None or found["tau"] >= 1 else "the ball is not proved to be mapped into itself"
    return [("contraction", f"not proved: {why}")]


def _start(certificate: Mapping[str, Any]) -> str:
    start = (certificate.get("witness") or {}).get("start")
    return f" near: {start}" if start else ""


def _whole(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What holds on the whole space, where the question was about less."""
    everywhere = data["certificate"].get("whole_space")
    if not everywhere or data["verdict"] in ("globally_lipschitz", "not_globally_lipschitz"):
        return []
    if everywhere.get("witness"):
        return [("everywhere", f"not Lipschitz: {everywhere['witness']}")]
    return [("everywhere", f"no bound: {everywhere.get('responsible') or everywhere.get('reason') or 'not known'}")]


def _growth(growth: Mapping[str, Any]) -> str:
    parts = [f"the bound is O({growth['symbolic']})" if growth["symbolic"] else "the order of the bound does not settle"]
    if growth["fitted"] is not None:
        interval = growth["interval"]
        about = f" (95%: {interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
        far = growth["attained"][-1][0]
        parts.append(f"attained with exponent {growth['fitted']:.2f}{about} up to {far:g}")
    if growth["agrees"] is False:
        parts.append("which disagree")
    return ", ".join(parts)


def _advice(advice: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    spent = [f"{row['op']} x {rounded(row['factor'], up=True, digits=3)}" for row in advice.get("operations", [])]
    if spent:
        rows.append(("spent on", ", ".join(spent)))
    weights = [f"{row['weight']} {row['exponent']:.2g}" for row in advice.get("weights", []) if row["exponent"] > 0.005]
    if weights:
        rows.append(("exponents", ", ".join(weights[:6])))
    return rows + [("with", f"{row['change']}: {rounded(row['bound'], up=True)}") for row in advice.get("remedies", [])]


def rounded(value: float | str, up: bool, digits: int = 6) -> str:
    """So many significant digits, an upper bound rounded up and a lower bound down."""
    from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal

    value = float(value)
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    return str(Context(prec=digits, rounding=ROUND_UP if up else ROUND_DOWN).create_decimal(Decimal(value)).normalize())
