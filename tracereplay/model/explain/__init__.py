"""The words for every cause code; kernel facts as sources and captures show them, by version."""

from __future__ import annotations

from tracereplay.model.explain.attempts import ATTEMPTS
from tracereplay.model.explain.explanation import Explanation
from tracereplay.model.explain.file_pages import FILE_PAGES
from tracereplay.model.explain.kernel_pages import KERNEL_PAGES
from tracereplay.model.explain.references import REFERENCES
from tracereplay.model.explain.unseen import UNSEEN

__all__ = ["EXPLANATIONS", "Explanation"]

# Pages first, then what is blamed on the attempt itself.
EXPLANATIONS: dict[str, Explanation] = {**REFERENCES, **FILE_PAGES, **KERNEL_PAGES, **UNSEEN, **ATTEMPTS}
