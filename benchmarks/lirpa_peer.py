"""Asks auto_LiRPA for the norm of the Jacobian of a softmax head; runs in an environment of its own and speaks JSON.

Its Jacobian operator has no rule for a product of two inputs or for softmax, so the closed form of the Jacobian is
written out in exp, sums, products and reciprocals. The input passes through an identity first, without which its L2
balls are not enlarged (version 0.7.1). The norm of the matrix of largest absolute entries bounds |J|.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    question = json.load(sys.stdin)
    try:
        import auto_LiRPA  # pyright: ignore[reportMissingImports]
        import torch
        from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm  # pyright: ignore[reportMissingImports]
    except Exception as error:
        print(json.dumps({"unavailable": f"auto_LiRPA cannot be imported: {error}"}))
        return
    form, value = (torch.tensor(question[k], dtype=torch.float32) for k in ("form", "value"))
    n, d = question["n"], len(form)

    class Jacobian(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(n * d, n * d, bias=False)
            self.first.weight.data = torch.eye(n * d)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x).view(-1, n, d)
            keyed = torch.matmul(x, form.T)  # rows A x_j
            queried = torch.matmul(x, form)  # rows A^T x_i
            score = (x.unsqueeze(2) * keyed.unsqueeze(1)).sum(-1)
            weight = torch.exp(score)
            weight = weight * (1.0 / weight.sum(-1, keepdim=True))
            mean = (weight.unsqueeze(-1) * x.unsqueeze(1)).sum(2)
            apart = x.unsqueeze(1) - mean.unsqueeze(2)
            spread = (weight.unsqueeze(-1).unsqueeze(-1) * apart.unsqueeze(-1) * apart.unsqueeze(-2)).sum(2)
            eye = torch.eye(d)
            keys = weight.unsqueeze(-1).unsqueeze(-1) * (eye + apart.unsqueeze(-1) * queried.unsqueeze(2).unsqueeze(3))
            query = torch.matmul(spread, form.T)
            blocks = keys + query.unsqueeze(2) * torch.eye(n).view(1, n, n, 1, 1)
            return torch.matmul(blocks.transpose(-1, -2), value).reshape(-1, n * n * d * value.shape[1])

    ball = question["centre"] is not None
    centre = torch.tensor(question["centre"], dtype=torch.float32).reshape(1, -1) if ball else torch.zeros(1, n * d)
    found: dict[str, object] = {"version": auto_LiRPA.__version__}
    for method in question["methods"]:
        start = time.process_time()
        try:
            net = BoundedModule(Jacobian(), centre)
            bound = PerturbationLpNorm(norm=2 if ball else float("inf"), eps=question["radius"])
            low, high = net.compute_bounds(x=(BoundedTensor(centre, bound),), method=method)
            worst = torch.maximum(low.abs(), high.abs()).detach().double().reshape(n, n, d, -1).permute(0, 3, 1, 2).reshape(n * value.shape[1], -1)
            found[method] = {"bound": float(torch.linalg.matrix_norm(worst, 2)), "seconds": time.process_time() - start}
        except Exception as error:
            found[method] = {"error": f"{type(error).__name__}: {str(error)[:100]}"}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
