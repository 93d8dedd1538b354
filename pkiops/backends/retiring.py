"""The Protocol of a backend that can take its certificate authorities out of service."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class RetiresAuthorities(Protocol):
    """Takes certificate authorities out of service, and back."""

    def set_enabled(self, reference: str, *, enabled: bool) -> None:
        """Make a DISABLED CA ACTIVE, or an ACTIVE one DISABLED."""

    def delete_authority(self, reference: str, *, days: int) -> None:
        """Delete a CA that is not ACTIVE; it can be restored for that many days, unless it never came to be. One that is gone is a success."""

    def restore_authority(self, reference: str) -> None:
        """Bring a DELETED CA back to the status it was deleted in; one that is not DELETED is a success."""
