"""How much looking back a run may cost: what some questions leave, later ones may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """An amount shared out evenly over the questions `planned`, and something more for every event replayed."""

    planned: int
    always: int  # over all questions of a run
    per_event: int = 0
    _requests: int = 0
    _spent: int = 0

    def ask(self, cost: int, events: int) -> bool:
        """Whether the next question, at this cost and after so many events, is within the budget; it is then spent."""
        self._requests += 1
        if self._spent + cost > self.always * self._requests // self.planned + self.per_event * events:
            return False
        self._spent += cost
        return True
