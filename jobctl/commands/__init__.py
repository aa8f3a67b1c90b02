"""One module a verb: parse, one client call, render, exit code."""
