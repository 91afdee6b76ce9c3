"""The premises of a verdict `proved`, declared once: code, sentence, what refutes it, a short reason for reports.

A cause names those it rests on in the table of causes (`culprits/table.py`); `culprits/premises.py` checks them.
Where all hold the verdict is `proved`; otherwise it is at most `suggested`, and the result lists those that fail.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Premise:
    """One sentence that must hold. reason -- why a verdict is `suggested` where it does not, in a few words."""

    code: str
    sentence: str
    refuted_by: str
    reason: str


PREMISES: dict[str, Premise] = {
    premise.code: premise
    for premise in (
        Premise(
            "established",
            "A real capture or a public log with established truth shows this cause, with a near miss.",
            "No such capture or log is known yet.",
            "no capture with established truth confirms this cause yet",
        ),
        Premise(
            "shown",
            "An event or a page dump shows the cause itself, not only that the page was not migrated.",
            "The cause is inferred from the page's allocation, its flags or its file alone.",
            "no event shows the cause itself",
        ),
        Premise(
            "recorded",
            "Every kind of event whose absence is used was recorded, on every CPU, over the whole interval.",
            "A kind of event that was not enabled, lost events, or a CPU that recorded nothing, started late or "
            "stopped early.",
            "events may be missing",
        ),
        Premise(
            "counted",
            "The page's count can be checked: the counts of its events agree, and its mappings are known.",
            "A count that contradicts the one before, or a large folio of which only parts are mapped.",
            "its reference count cannot be checked",
        ),
        Premise(
            "needed",
            "The reference explains the excess: without it the page has none.",
            "An excess that was there before the reference was taken, or more references than the excess.",
            "the reference does not explain the whole excess",
        ),
        Premise(
            "not_isolation",
            "The reference is not the one that isolation for migration or reclaim takes.",
            "The taker was isolating pages then, or no event shows the page on the LRU while the reference was held.",
            "it may be the reference of a task that isolated the page",
        ),
        Premise(
            "whose",
            "The reference is the taker's own, and the taker is known to be a user task.",
            "A task without a name, a kernel thread, interrupt context, or several takers of which one gave "
            "a reference back.",
            "the taker is not known for certain",
        ),
        Premise(
            "when",
            "The page was held when the attempt came to it, and the taker's name is its name at that time.",
            "A reference taken only after the page had been scanned, or a thread id that was used again.",
            "it was not seen held when the attempt came to the page",
        ),
        Premise(
            "what",
            "Nothing that was seen contradicts what the page is said to be.",
            "Isolation of the range had succeeded, a count that differs from the expected one, several pages that "
            "look alike where only one can be waited for.",
            "other events contradict it or fit another page as well",
        ),
    )
}
