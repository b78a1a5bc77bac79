"""Our end of a conversation with a peer in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WORDS = {
    "pyglove": "a member is a DNA, a symbolic object of checked integers, and a built one a symbolic object that holds labels.",
    "neps": "a member is a resolved `PipelineSpace` that holds labels, drawn with replacement; in order they come from the list of its grid search, as dictionaries; built means that its operations were called.",
}


class Peer:
    """A process that times a peer on our spaces. `told` is who it is and what it counts, or why there is no answer.

    Raises SystemExit where it counts the members of a space otherwise than we do.
    """

    def __init__(self, name: str, spaces: dict[str, Any], counts: dict[str, int], asked: bool = True):
        self.told: dict[str, Any]
        self.missing: dict[str, str] = {}
        self.process = None
        python = ROOT / f".venv-{name}" / "bin" / "python"
        if not asked:
            self.told = {"unavailable": "it was not asked"}
            return
        if not python.exists():
            self.told = {"unavailable": f"there is no environment .venv-{name}; `make bench-generator` makes one"}
            return
        self.process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name(f"{name}_peer.py"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.told = self._say(spaces) or {"unavailable": "it stopped when it was started"}
        if "unavailable" in self.told:
            return
        self.missing = self.told.pop("missing")
        self.told["words"] = WORDS[name]
        for space, count in self.told["counts"].items():
            if int(count) != counts[space]:
                raise SystemExit(f"{name} counts {count} members of {space}, we {counts[space]}")

    @property
    def there(self) -> bool:
        return "unavailable" not in self.told

    def _say(self, words: dict[str, Any]) -> Any:
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def ask(self, task: str, seconds: float) -> float | None:
        """Its objects per second of processor time, or None for what it cannot do."""
        return self._say({"task": task, "seconds": seconds})

    def close(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait()
