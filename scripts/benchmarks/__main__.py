"""`python -m scripts.benchmarks`, as `scripts/bench` runs it."""

from __future__ import annotations

import sys

from scripts.benchmarks.cli import main

sys.exit(main(sys.argv[1:]))
