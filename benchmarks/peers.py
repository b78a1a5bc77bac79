"""What other packages of attention hold, counted in their installed source and tried on a CPU; writes zoo/peers.json.

    python benchmarks/peers.py [PACKAGE ...]

It runs where the packages are: those of requirements-oracles.txt, and with `--no-deps` xformers==0.0.28.post3 (the last
with the component factory), flash-linear-attention==0.6.0 and attzoo==0.1.0 (says Python 3.12, runs on 3.11 unpacked).
With names it measures these only and keeps the rest of the file; `ours` is a name. What each number counts stands in `ROWS` and in `NOTE`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peers_build import Mechanism, exported, fla, ours, where, x_transformers, xformers
from peers_models import transformers
from peers_source import lines_to_read, method, own_imports, text_of, top
from peers_trial import outcome, quiet

PATH = Path(__file__).parents[1] / "zoo" / "peers.json"

ROWS = {
    "lines": "lines of code to read for one, median (least to greatest)",
    "file": "have a file to themselves",
    "alone": "source of one that imports nothing else of the package",
    "states": "says whether it is causal / what it costs / whether it is Lipschitz",
    "parts": "parts that may be exchanged",
    "pictures": "pictures in the package",
    "tried": "built by our recipe and tried, of those taken",
    "double": "return float64 for float64, on a CPU",
    "throughout": "never leave float64 on the way",
    "export": "`torch.export` with a free batch",
    "mask": "take a mask when called",
    "cache": "take a cache or a state when called",
    "kernels": "files with GPU kernels",
    "training": "files with a loss, an optimiser or a trainer",
    "models": "files of whole models that load pretrained weights",
}

NOTE = (
    "Counted by `benchmarks/peers.py` in the packages as installed, and tried with torch {torch} on a CPU at small sizes in evaluation mode. "
    "*Mechanisms*: x-transformers: switches of `Attention` that change its output at the same weights; xformers: registered names; "
    "flash-linear-attention (layers) with fla-core (kernels): folders of `fla.ops` with a kernel or a reference; transformers: classes called Attention, Attn, Mixer or DeltaNet "
    "that multiply matrices or take a softmax, one of each body (`forward` and what it calls in its file, up to names, so plumbing that differs counts as another body); "
    "attnhut, attzoo: exported modules. *Lines*: neither blank nor comment nor docstring, of a class and of what it names in its folder, imports from elsewhere left out; "
    "of ours the whole file without comments. *Says*: a mechanism whose source or docstring has the word (causal; O(...), complexity, quadratic, subquadratic, linear time or memory; Lipschitz). "
    "*Of those tried*: transformers, every fourth body; fla, the first reference function of a folder; the zoo, every third file; the others all. "
    "Tried is what could be built from sizes by one recipe, so a smaller number tried says nothing against a package; kernels and layers of flash-linear-attention need Triton and a GPU and were not run; three of xformers want a type that this version leaves undefined without its compiled part. "
    "*Never leave*: no tensor of more than one number is made in a narrower type."
)  # fmt: skip

SAYS = {
    "causal": r"(?i:causal)",
    "cost": r"\bO\(|(?i:complexity|quadratic|linear[- ](time|memory|cost))",
    "lipschitz": r"(?i:lipschitz)",
}
IMAGES = {".svg", ".png", ".jpg", ".jpeg", ".gif"}


def share(count: int, total: int) -> str:
    return f"{count} of {total}"


def definitions(m: Mechanism) -> list[ast.FunctionDef]:
    """What is called to run it: `forward`, or all functions of the folder of a kernel."""
    node = top(m.path)[m.definition]
    if isinstance(node, ast.ClassDef):
        found = method(node, "forward")
        return [found] if found else []
    return [s for p in sorted(m.path.parent.glob("*.py")) for s in top(p).values() if isinstance(s, ast.FunctionDef)]


def takes(m: Mechanism, pattern: str) -> bool:
    return any(re.search(pattern, a.arg) for f in definitions(m) for a in (*f.args.args, *f.args.kwonlyargs))


def slots(found: list[Mechanism]) -> list[str]:
    """Arguments of constructors that take a function or a module, which may so be exchanged."""
    names = []
    for m in found:
        node = top(m.path)[m.definition]
        start = method(node, "__init__") if isinstance(node, ast.ClassDef) else None
        for a in (*start.args.args, *start.args.kwonlyargs) if start else ():
            if a.annotation and re.search(r"\b(Callable|Module|\w+SelfAttention|InputProjection)\b", ast.unparse(a.annotation)):
                names.append(a.arg)
    return sorted(set(names))


def registry(package: str) -> list[str]:
    """Tables in which a package looks up what to put in, with their lengths."""
    if package == "xformers":
        from xformers.components.attention import ATTENTION_REGISTRY
        from xformers.components.attention.feature_maps import FeatureMapType

        return [f"{len(ATTENTION_REGISTRY)} registered attentions", f"{len(FeatureMapType)} feature maps"]
    if package == "transformers":
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        return [f"{len(ALL_ATTENTION_FUNCTIONS.valid_keys())} registered attention functions"]
    return []


def installed(package: str) -> list[Path]:
    return [p for p in sorted(where(package).rglob("*")) if p.is_file() and "__pycache__" not in p.parts]


CACHE = r"cache|past|initial_state|prev_h"


def counted(package: str) -> dict[str, str]:
    """What the files of a package hold beside the mechanisms."""
    files = installed(package)
    code = {p: p.read_text("utf-8", errors="replace") for p in files if p.suffix == ".py"}
    losses = r"cross_entropy|CrossEntropyLoss|mse_loss|^class \w*Trainer\b|optim\.\w+\("
    return {
        "kernels": str(sum("@triton.jit" in t for t in code.values()) + sum(p.suffix in (".cu", ".so") for p in files)),
        "training": str(sum(bool(re.search(losses, t, re.M)) for t in code.values())),
        "models": str(sum(p.name.startswith("modeling_") and bool(re.search(r"^class \w+\(.*PreTrainedModel", t, re.M)) for p, t in code.items())),
    }


def tried(found: list[Mechanism]) -> dict[str, str]:
    results = [outcome(m.build) for m in found if m.build is not None]
    ran = [r for r in results if r.ran]
    total = len(ran)
    return {
        "tried": share(total, len(results)),
        "double": share(sum(r.double for r in ran), total),
        "throughout": share(sum(r.throughout for r in ran), total),
        "export": share(sum(r.exported for r in ran), total),
    }


def reading(found: list[Mechanism], count: Callable[[Mechanism], int]) -> str:
    counts = [n for _, _, n in sorted({(str(m.path), m.definition, count(m)) for m in found})]
    if len(counts) == 1:
        return f"{counts[0]}, one class for all"
    return f"{statistics.median_low(counts)} ({min(counts)} to {max(counts)})"


def answers(package: str, found: list[Mechanism], sample: list[Mechanism]) -> dict[str, str]:
    total = len(found)
    plain = [m for m in found if m.build is not None]
    per_file = Counter(m.path for m in found)
    texts = [text_of(m.path, m.definition) for m in found]
    holes = [*registry(package), *(f"`{n}`" for n in slots(found))]
    return {
        "lines": reading(plain, lambda m: lines_to_read(m.path, m.definition)),
        "file": share(sum(per_file[m.path] == 1 for m in found), total),
        "alone": share(sum(not own_imports(m.path, package) for m in found), total),
        "states": " / ".join(str(sum(bool(re.search(p, t)) for t in texts)) for p in SAYS.values()) + f" of {total}",
        "parts": ", ".join(holes) if holes else "none by constructor",
        "pictures": str(sum(p.suffix in IMAGES for p in installed(package))),
        **tried(sample),
        "mask": share(sum(takes(m, r"mask|cu_seqlens") for m in found), total),
        "cache": share(sum(takes(m, CACHE) for m in found), total),
        **counted(package),
    }


def our_answers() -> dict[str, str]:
    import anatomy
    from anatomy.claims import verify
    from anatomy.claims.head import read_head
    from anatomy.claims.sizes import stated_sizes
    from anatomy.claims.trial import Trial
    from anatomy.compiler import generate
    from anatomy.errors import Source
    from anatomy.library import entries, groups

    found, known = ours(), entries()
    sample = found[::3]
    true, alone, drawn, imports = 0, 0, 0, set()
    for m in sample:
        diagram = anatomy.load(f"zoo:{m.name}")
        true += not any(d.severity == "error" for d in verify(m.path))
        drawn += anatomy.draw(diagram).svg.startswith("<")
        trial = Trial(diagram, stated_sizes(read_head(Source(m.name, m.path.read_text("utf-8")))["sizes"]))
        source = generate(diagram, trial.chosen, ("b",)).source
        named = {a.name for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import) for a in n.names}
        named |= {n.module or "." for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)}
        heads = {n.split(".")[0] for n in named} - set(sys.stdlib_module_names)
        imports |= heads
        alone += heads <= {"torch"}
    claims = [e.head.values() for e in known]
    stated = [sum(bool(c[k]) for c in claims) for k in ("causal", "cost", "lipschitz")]
    diagrams = [anatomy.load(f"zoo:{e.name}") for e in known]
    masks = sum(any(d.wires[i.wire].kind.name == "mask" for i in d.inputs) for d in diagrams)
    shared = [g for g in groups(known) if len(g.names) > 1]
    total = len(known)
    print(f"    compiled source imports {sorted(imports)}")

    def length(m: Mechanism) -> int:
        return sum(bool(t.strip()) and not t.lstrip().startswith("#") for t in m.path.read_text("utf-8").splitlines())

    return {
        "lines": reading(found, length),
        "file": share(sum(n == 1 for n in Counter(m.path for m in found).values()), total),
        "alone": f"{share(alone, len(sample))} tried, as `anatomy compile` writes it",
        "states": f"{' / '.join(map(str, stated))} of {total}; `anatomy zoo check` holds for {share(true, len(sample))} tried",
        "parts": f"{sum(len(e.parts) for e in known)} with typed interfaces, {len(shared)} interfaces in several mechanisms",
        "pictures": f"drawn from the files: {share(drawn, len(sample))} tried",
        **tried(sample),
        "mask": share(masks, total),
        "cache": share(sum(any(re.search(CACHE, i.name) for i in d.inputs) for d in diagrams), total),
        **counted("anatomy"),
    }


def peer(name: str, package: str, found: list[Mechanism], words: str, step: int = 1) -> dict[str, Any]:
    print(f"{name}: {len(found)} mechanisms", flush=True)
    version = importlib.metadata.version(name)
    return {"name": name, "version": version, "mechanisms": f"{len(found)} {words}", "answers": answers(package, found, found[::step])}


def of_transformers() -> dict[str, Any]:
    found = transformers()
    classes = sum(1 + len(m.names) for m in found)
    files = len(list((where("transformers") / "models").glob("*/modeling_*.py")))
    return peer("transformers", "transformers", found, f"bodies, in {classes} classes of {files} modeling files", 4)


def of_x_transformers() -> dict[str, Any]:
    positions = [n for n in top(where("x_transformers") / "x_transformers.py") if re.search("PositionBias|PositionalBias|Alibi|RotaryEmbedding|PolarEmbedding|CoPE", n)]
    return peer("x-transformers", "x_transformers", x_transformers(), f"switches; {len(positions)} classes of positions, some set by them")


def of_fla() -> dict[str, Any]:
    found = fla()
    layers = len([p for p in (where("fla") / "layers").glob("*.py") if p.stem not in ("__init__", "utils")])
    return peer("flash-linear-attention", "fla", found, f"operators, {layers} files of layers")


PEERS: dict[str, Callable[[], dict[str, Any]]] = {
    "x-transformers": of_x_transformers,
    "transformers": of_transformers,
    "flash-linear-attention": of_fla,
    "xformers": lambda: peer("xformers", "xformers", xformers(), "registered"),
    "attnhut": lambda: peer("attnhut", "attnhut", exported("attnhut"), "modules"),
    "attzoo": lambda: peer("attzoo", "attzoo", exported("attzoo"), "modules"),
}


def main(wanted: list[str]) -> None:
    torch.set_num_threads(1)
    for name in wanted or [*PEERS, "ours"]:
        made = our_answers() if name == "ours" else PEERS[name]()
        data = json.loads(PATH.read_text("utf-8"))
        known = {p["name"]: p for p in data["peers"]} | ({} if name == "ours" else {name: made})
        data = {
            "rows": ROWS,
            "ours": made if name == "ours" else data["ours"],
            "peers": [known[n] for n in PEERS if n in known],
            "note": NOTE.format(torch=torch.__version__.split("+")[0]),
        }
        PATH.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    with quiet():
        importlib.import_module("torch._dynamo")
    main(sys.argv[1:])
