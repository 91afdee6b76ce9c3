"""The list of free runs in a CMA area's bitmap, `size@position` joined by `+`, as cma_debug_show_areas() prints it.

>>> runs("4@572+166@1114")
[(572, 4), (1114, 166)]
"""

from __future__ import annotations

import re

RUN = re.compile(r"(\d{1,15})@(\d{1,15})")


def runs(text: str) -> list[tuple[int, int]]:
    """(position in the bitmap, pages) of each run, in order."""
    return [(int(position), int(size)) for size, position in RUN.findall(text)]


def largest_run(text: str) -> int | None:
    """Pages of the longest run; None where no run is listed."""
    return max((size for _, size in runs(text)), default=None)
