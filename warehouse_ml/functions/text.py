"""Text in which parts were replaced, and from where in the original each character comes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Spliced"]


@dataclass(frozen=True)
class Spliced:
    """A text made of pieces.

    Parameters
    ----------
    text : str
    starts : tuple of int
        Where each piece starts in ``text``, ascending from 0.
    origins : tuple of int
        Where the piece comes from in the original.
    is_copied : tuple of bool
        Whether it is the original's own text, or stands for something there.
    """

    text: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]
    is_copied: tuple[bool, ...]

    @classmethod
    def copied(cls, text: str, origin: int = 0) -> Spliced:
        """Return a piece of the original as it is."""
        return cls(text, (0,), (origin,), (True,))

    @classmethod
    def generated(cls, text: str, origin: int) -> Spliced:
        """Return text that stands for what is at ``origin``."""
        return cls(text, (0,), (origin,), (False,))

    @classmethod
    def joined(cls, parts: Sequence[Spliced]) -> Spliced:
        """Return several texts one after the other."""
        starts: list[int] = []
        length = 0
        for part in parts:
            starts.extend(length + start for start in part.starts)
            length += len(part.text)
        return cls(
            "".join(part.text for part in parts),
            tuple(starts),
            tuple(origin for part in parts for origin in part.origins),
            tuple(copied for part in parts for copied in part.is_copied),
        )

    def origin(self, position: int) -> int:
        """Return where the character at a position comes from."""
        piece = max(0, bisect_right(self.starts, position) - 1)
        offset = position - self.starts[piece] if self.is_copied[piece] else 0
        return self.origins[piece] + offset
