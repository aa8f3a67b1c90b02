"""The full-screen view of `jobctl top`, drawn with Textual (extra `tui`).

What is to be seen is a `Scope`, and what was seen a `Sight` (`sight`). `look` asks the daemon for
one by the other; `feed` does that in threads of its own, when something has happened. `deeds` carry
out what a key asks for. All the rest draws: `app` puts it together.
"""
