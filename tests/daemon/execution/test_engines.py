"""What the engines of a daemon are together."""

from jobd.core.placement import Placement
from jobd.daemon.execution.engines import Engines
from jobd.engines.fake import FakeEngine
from tests.engines.contexts import context_of


class Holding(FakeEngine):
    def __init__(self, context, descriptors):
        super().__init__(context)
        self.descriptors = descriptors


def test_descriptors_are_those_of_all_that_say_so(tmp_path):
    context = context_of(tmp_path)
    by_name = {
        "fake": FakeEngine(context), "far": Holding(context, 30), "farther": Holding(context, 4),
    }  # fmt: skip
    assert Engines(Placement("fake", {}), by_name).descriptors == 34
