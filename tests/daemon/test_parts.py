"""What all of a daemon stands on."""

from types import SimpleNamespace

import pytest

from jobd.daemon.parts import Ground


@pytest.mark.parametrize(
    ("troubles", "said"),
    [
        (("unsaved", "damaged", "no job can be started: refused"), "damaged"),
        (("unsaved", None, "no job can be started: refused"), "unsaved"),
        (("unsaved", "damaged", "no job can be started: refused", "full"), "damaged"),
        (("unsaved", None, "no job can be started: refused", "full"), "full"),
        ((None, None, "no job can be started: refused"), "no job can be started: refused"),
    ],
)
def test_the_worst_trouble_is_told(troubles, said):
    writing, damage, starting, full = (*troubles, None)[:4]
    ground = SimpleNamespace(
        writer=SimpleNamespace(trouble=writing), reserve=SimpleNamespace(trouble=full),
        breaker=SimpleNamespace(trouble=starting),
    )  # fmt: skip
    assert Ground.trouble(ground, lambda: damage) == said
