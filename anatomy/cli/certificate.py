"""`regularity --certificate` and `regularity --verify`: proofs of bounds as files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from anatomy.cli.output import emit, sizes
from anatomy.errors import fail
from anatomy.target import load_diagram


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--certificate", metavar="FILE", help="write a proof of an upper bound, to be checked with --verify (.json)")
    parser.add_argument("--verify", metavar="FILE", help="check such a proof, and that it is about TARGET where one is given")


def write(options: argparse.Namespace, data: dict[str, Any]) -> list[tuple[str, str]]:
    """Writes the certificate; adds what it proves to the data, and gives its lines for a person."""
    import torch

    from anatomy.api import numeric
    from anatomy.certificates import certify
    from anatomy.compiler import build

    if options.norm.startswith("wasserstein"):
        raise fail("E902", "certificates are of bounds of tokens: use `--norm frobenius` or `--norm max_token`")
    diagram, given = load_diagram(options.target), sizes(options.size)
    weights, _ = numeric(build(diagram, given, seed=options.seed, dtype=torch.float64))
    found = certify(diagram, given, weights, options.radius, options.norm)
    Path(options.certificate).write_text(found.text + "\n", "utf-8")
    data["certified_upper"] = found.upper
    return [("certified", f"{found.upper!r}  (proved again by the certificate's own rules)"), ("certificate", options.certificate)]


def verify(options: argparse.Namespace) -> int:
    """Exit status 0 where the certificate holds, else 1 with the step that fails."""
    from anatomy.certificates import verify as check
    from anatomy.certificates.model import LONGEST

    with Path(options.verify).open("rb") as file:
        text = file.read(LONGEST + 1)
    found = check(text, load_diagram(options.target) if options.target else None)
    if options.json:
        emit(found.model_dump(mode="json"))
    elif found.holds:
        print(f"{options.verify}: holds")
        print(f"  diagram      {found.diagram}" + (f", the same as {options.target}" if options.target else ""))
        print(f"  sizes        {', '.join(f'{a}={n}' for a, n in (found.sizes or {}).items())}")
        print(f"  weights      those in the certificate (sha256 {(found.weights or '')[:16]})")
        print(f"  domain       tokens of Euclidean norm at most {found.radius!r}")
        print(f"  norm         {found.norm}")
        print(f"  upper        {found.upper!r}")
    else:
        print(f"{options.verify}: does not hold")
        print(f"  step         {found.step}")
        print(f"  reason       {found.reason}")
    return 0 if found.holds else 1
