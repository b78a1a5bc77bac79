"""What a sweep was asked to do: one JSON file in its folder, enough to take it up again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from anatomy.errors import AnatomyError, Source, fail
from anatomy.language.program import Program
from anatomy.spaces import Space
from anatomy.sweep.migration import newer

NAME = "sweep.json"
Merge = Literal["canonical", "algebra", "numeric"]


class Config(BaseModel):
    """The identity of a sweep and how its space is found again. `jobs` and `transport` are not part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    version: Literal[2] = 2
    target: str
    path: str
    text: str
    space: str
    digest: str
    members: tuple[int, ...] | None = None
    sample: int | None = None
    tasks: tuple[str, ...]
    budget: int | None = None
    seed: int = 0
    seeds: int = 1
    """Trainings of every member; the baseline has two at least."""
    sizes: dict[str, int] = {}
    radius: float = 1.0
    norm: str = "frobenius"
    certify: bool = True
    merge: Merge = "algebra"
    """Members trained once: equal diagrams; also those equal by the laws or by algebra; also those equal in numbers."""
    halving: int | None = None
    """Of so many members, one goes on to the next rung, on tasks whose loss falls smoothly; None for no rungs."""
    rungs: int = 3
    """Budgets of halving: the full one, and one for each division by `halving`."""
    strata: tuple[str, ...] | None = None
    """Holes whose options are halved apart; None for the growth of the cost with the length."""
    cache: str

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, data: Any) -> Any:
        """A sweep of version 1 merged equal diagrams only, and had no rungs."""
        if isinstance(data, dict) and data.get("version") == 1:
            return {"merge": "canonical", **data, "version": 2}
        return data

    def load(self) -> Space:
        """The space as it was. Raises AnatomyError E802 when what it uses has changed since."""
        source = Source(self.path, self.text)
        try:
            program = Program.of(source, Path(self.path).parent)
            definition = program.space(self.space)
            errors = [d for d in program.diagnostics() if d.severity == "error"]
            if definition is None or errors:
                raise AnatomyError(*errors)
            space = Space(definition)
        except AnatomyError as error:
            raise fail(
                "E802", f"the space `{self.space}` of this sweep can no longer be read: {error.diagnostics[0].message}"
            ) from None
        if space.digest != self.digest:
            raise fail(
                "E802", f"what the space `{self.space}` uses has changed since this sweep began",
                help="start a new sweep in another folder; unchanged members are taken from the cache",
            )  # fmt: skip
        return space

    def command(self, out: str = "OUT", rank: int | None = None, tasks: str = "") -> str:
        """The command that makes this sweep, or one member of it, again."""
        import shlex

        words = ["anatomy", "sweep", "run", self.target, "--out", out]
        members = (rank,) if rank is not None else self.members
        words += ["--members", ",".join(map(str, members))] if members is not None else []
        words += ["--sample", str(self.sample)] if self.sample is not None and rank is None else []
        words += ["--tasks", tasks or ",".join(self.tasks)] if self.tasks else []
        words += ["--steps", str(self.budget)] if self.budget is not None else []
        words += ["--seed", str(self.seed)]
        words += ["--seeds", str(self.seeds)] if self.seeds != 1 else []
        for axis, size in sorted(self.sizes.items()):
            words += ["--size", f"{axis}={size}"]
        words += ["--radius", repr(self.radius).removesuffix(".0")] if self.radius != 1.0 else []
        words += ["--norm", self.norm] if self.norm != "frobenius" else []
        words += [] if self.certify else ["--no-regularity"]
        words += ["--merge", self.merge] if self.merge != "algebra" else []
        if self.halving is not None and rank is None:
            words += ["--halving", str(self.halving), "--rungs", str(self.rungs)]
            words += ["--strata", ",".join(self.strata)] if self.strata is not None else []
        return shlex.join(words)

    def same(self, other: Config) -> bool:
        """Two sweeps that ask the same question; where the files lie does not matter."""
        return self.asked() == other.asked()

    def asked(self) -> dict[str, Any]:
        """What the sweep asks, apart from where its files lie."""
        return self.model_dump(mode="json", exclude={"version", "target", "path", "cache", "text"})


def write(config: Config, folder: Path) -> None:
    """Write the configuration; a kill leaves the old file or the new one."""
    draft = folder / (NAME + ".draft")
    draft.write_text(config.model_dump_json(indent=2) + "\n", "utf-8")
    os.replace(draft, folder / NAME)


def read(folder: Path) -> Config:
    """The configuration of a sweep's folder. Raises AnatomyError E803 when it is no such folder, E810 when a newer version wrote it."""
    try:
        data = json.loads((folder / NAME).read_text("utf-8"))
        if isinstance(data, dict) and isinstance(data.get("version"), int) and data["version"] > Config.model_fields["version"].default:
            raise newer(f"`{folder / NAME}`", data["version"], Config.model_fields["version"].default)
        return Config.model_validate(data)
    except (OSError, ValueError, ValidationError) as error:
        raise fail("E803", f"`{folder}` holds no sweep: {str(error).splitlines()[0]}") from None
