"""Choosing mechanisms: what no mechanism has is refused, not silently nothing."""

import pytest

from anatomy.errors import AnatomyError
from anatomy.library.entry import entries
from anatomy.library.select import Wanted, select


@pytest.mark.parametrize(
    ("wanted", "message", "help"),
    [
        (Wanted(cost="n*m"), "no mechanism has the cost `n*m`", "did you mean `n * m`?"),
        (Wanted(folder="kernels"), "no mechanism has the folder `kernels`", "did you mean `kernel`?"),
        (Wanted(part="scores"), "no mechanism has the part `scores`", "did you mean `score`?"),
        (Wanted(years="20x"), "`20x` is no year and no range of years", "for example"),
    ],
)
def test_what_nothing_has(wanted: Wanted, message: str, help: str) -> None:
    with pytest.raises(AnatomyError) as error:
        select(entries(), wanted)
    (found,) = error.value.diagnostics
    assert found.message == message
    assert found.help.startswith(help)


def test_all_that_is_wanted_is_claimed() -> None:
    found = select(entries(), Wanted(cost="n", causal=True, years="2020-"))
    assert found
    for entry in found:
        values = entry.head.values()
        assert (values["cost"], values["causal"]) == ("n", "yes")
        assert (entry.head.year or 0) >= 2020
    assert len(found) == sum(e.head.values()["cost"] == "n" and e.head.values()["causal"] == "yes" and (e.head.year or 0) >= 2020 for e in entries())
