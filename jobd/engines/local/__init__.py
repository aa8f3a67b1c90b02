"""Jobs as processes of this machine. By this name the entry point finds the engine."""

from jobd.engines.local.engine import LocalEngine

__all__ = ["LocalEngine"]
