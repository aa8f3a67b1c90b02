"""What Slurm knows our jobs by: no other ever has the same."""

from __future__ import annotations


class Names:
    """Of one instance."""

    def __init__(self, instance: str) -> None:
        self._instance = instance

    def of(self, job: int, token: str) -> str:
        """An attempt's."""
        return f"jobd-{job}-{self._instance}-{token}"

    def of_pack(self, token: str) -> str:
        """An allocation's that several share; `token`: of the first of them."""
        return f"jobd-pack-{self._instance}-{token}"

    def is_of_pack(self, name: str) -> bool:
        return name.startswith("jobd-pack-")

    def token_in(self, name: str) -> str | None:
        """None: it is no job of this instance."""
        head, _, token = name.rpartition("-")
        return token if head.startswith("jobd-") and head.endswith(f"-{self._instance}") else None
