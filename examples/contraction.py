"""A stack of one attention layer with the same weights at every depth: when does it converge, how fast, and to what?

Tokens are measures here, so two inputs may have different numbers of tokens. For scales of the value map the constant tau of the layer in W1
and in W_infinity is proved; where tau < 1 on a ball that the layer maps into itself, the distance of any two inputs shrinks by tau at every
layer, and all tokens end in one point. The table compares the proved rate with what is seen; the plot has both, in W_infinity against depth.

    python examples/contraction.py [plot.svg]
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import torch

import anatomy
from anatomy.api import numeric
from anatomy.regularity.measure import contraction, wasserstein

TEXT = """
axis n, m = n, d, c = d
diagram layer(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  weight V: [d, c]
  weight b: [d]
  simd n { y = dot[m](softmax[m](dot[d](x, z) / sqrt(size[d])), z) }
  out dot[d](V, y)[c -> d] + b
}
"""
RADIUS, DEPTH, WIDTH = 1.0, 12, 4
SCALES = (0.1, 0.3, 0.55, 0.75)
ORDERS = (1.0, float("inf"))


def layer(scale: float) -> torch.nn.Module:
    """The layer with a value map of norm `scale` and a short bias."""
    net = anatomy.compile(anatomy.parse(TEXT)["layer"], {"d": WIDTH}, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
            parameter.mul_((scale if parameter.dim() == 2 else 0.2) / torch.linalg.norm(parameter, 2))
            parameter.requires_grad_(False)
    return net


def cloud(n: int, seed: int) -> torch.Tensor:
    x = torch.tensor(np.random.default_rng(seed).standard_normal((n, WIDTH)))
    return RADIUS * x / x.norm(dim=1, keepdim=True)


def distances(net: torch.nn.Module, p: float) -> list[float]:
    """W_p between two inputs of 8 and of 12 tokens, layer by layer."""
    x, y, found = cloud(8, 1), cloud(12, 2), []
    for _ in range(DEPTH + 1):
        found.append(wasserstein(x.numpy(), y.numpy(), p))
        x, y = net(x), net(y)
    return found


def picture(rows: list[tuple[float, float, list[float]]]) -> str:
    """Distance against depth, logarithmic upwards: dots are seen, lines have the proved rate."""
    low, wide, high = 1e-14, 580, 360

    def at(k: float, value: float) -> str:
        down = np.log(max(value, low)) / np.log(low)
        return f"{50 + 440 * k / DEPTH:.1f},{20 + 300 * min(max(down, 0.0), 1.0):.1f}"

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">',
           f'<rect width="{wide}" height="{high}" fill="#fff"/>', '<text x="50" y="350">layers; W_inf of two inputs from 1 (top) to 1e-14, proved rates as lines</text>']  # fmt: skip
    for colour, (scale, tau, seen) in zip(("#0072b2", "#d55e00", "#009e73", "#cc79a7"), rows, strict=True):
        if tau < 1:
            line = " ".join(at(k, seen[0] * tau**k) for k in range(DEPTH + 1))
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        for k, value in enumerate(seen):
            x, y = at(k, value).split(",")
            out.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"><title>scale {scale}: {value:.3g} after {k}</title></circle>')
        x, y = at(DEPTH, seen[-1]).split(",")
        out.append(f'<text x="{float(x) + 8}" y="{float(y) + 4}" fill="{colour}">|V| = {scale}</text>')
    return "\n".join([*out, "</svg>", ""])


def main() -> None:
    diagram = anatomy.parse(TEXT)["layer"]
    print(f"{'|V|':>5} {'norm':>6} {'tau':>9} {'ball kept':>10} {'proved rate':>12} {'seen rate':>10} {'at start':>9} {f'after {DEPTH}':>10}")
    rows = []
    for scale in SCALES:
        net = layer(scale)
        weights, _ = numeric(net)
        for p in ORDERS:
            found = contraction(diagram, {"n": 8, "d": WIDTH}, weights, RADIUS, p)
            seen = distances(net, p)
            rate = max(b / a for a, b in itertools.pairwise(seen) if a > 1e-12)
            proved = "none" if found.rate is None else f"{found.rate:.4f}"
            kept = "yes" if found.invariant else "no"
            print(f"{scale:>5} {'W' + format(p, 'g'):>6} {found.tau:>9.4f} {kept:>10} {proved:>12} {rate:>10.4f} {seen[0]:>9.4f} {seen[-1]:>10.2e}")
        rows.append((scale, found.tau, seen))
    print("\nWhere the rate is below 1 all tokens end in one point: an infinitely deep stack of a contracting layer forgets its input.")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(picture(rows), "utf-8")
        print(f"{sys.argv[1]} drawn")


if __name__ == "__main__":
    main()
