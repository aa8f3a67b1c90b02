"""What answers each request, as the daemon has it listed."""

from typing import get_type_hints

from jobd.contract import wire


def takes(handler):
    """The request that it is made for, and what it answers."""
    hints = get_type_hints(handler)
    return hints["request"] if "request" in hints else hints["_request"], hints["return"]


def test_every_request_has_what_answers_it(quiet):
    handlers = quiet.daemon.built.server.dispatch._handlers
    assert set(handlers) == set(wire.REQUESTS.values())
    for kind, handler in handlers.items():
        assert takes(handler) == (kind, kind.about.reply)


def test_what_answers_a_request_lies_in_a_file_of_its_name(quiet):
    """But for the two that end the daemon."""
    files = {
        f"jobd.daemon.{'commands' if kind.about.changes else 'queries'}.{kind.wire_name()}"
        for kind in wire.REQUESTS.values()
        if not kind.about.ends
    }
    handlers = quiet.daemon.built.server.dispatch._handlers.items()
    assert {handler.__module__ for kind, handler in handlers if not kind.about.ends} == files


def test_a_viewer_is_answered_by_what_redacts(quiet):
    """What shows workers, groups and numbers has nothing to leave out; nor has an output, which a
    viewer may read as it is.
    """
    handlers, for_viewers = (
        quiet.daemon.built.server.dispatch._handlers,
        quiet.daemon.built.server.dispatch._for_viewers,
    )
    left = {kind for kind in handlers if kind.about.viewer} - set(for_viewers)
    assert {kind.wire_name() for kind in left} == {"workers", "groups", "metrics"}
    for kind, handler in for_viewers.items():
        assert takes(handler) == (kind, kind.about.reply)
    same = {kind for kind, handler in for_viewers.items() if handler in handlers.values()}
    assert {kind.wire_name() for kind in same} == {"output"}
