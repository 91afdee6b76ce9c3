"""The number that identifies a probe to the replay: which attempt, at a failing test or in a wait."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class ProbeKey(NamedTuple):
    """Whose probe it is: `ReplayAction.attempt`, and column `attempt` of the replay's suspects, hold it encoded."""

    attempt: int  # index among the detected attempts
    in_wait: bool = False  # probed in the middle of a wait, not at a failing test

    def encode(self) -> int:
        """The key as the engine's number."""
        return 2 * self.attempt + self.in_wait

    @classmethod
    def decode(cls, number: int) -> ProbeKey:
        """The key that was encoded as `number`."""
        return cls(number >> 1, bool(number & 1))

    @staticmethod
    def attempts_of(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """int32[n]: the attempt of each encoded key."""
        return numbers >> 1
