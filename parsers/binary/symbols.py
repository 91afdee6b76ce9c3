"""kallsyms: kernel addresses -> function names, for stacks."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symbols:
    """Function addresses ascending, names beside them."""

    addresses: list[int]
    names: list[str]

    @classmethod
    def parse(cls, text: str) -> Symbols:
        """From kallsyms text, `ffffffff81000000 T _text [module]`; addresses hidden as 0 and data are left out."""
        found: dict[int, str] = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) < 3 or words[1] not in "tTwW":
                continue
            try:
                address = int(words[0], 16)
            except ValueError:
                continue
            if address:
                found.setdefault(address, words[2])
        addresses = sorted(found)
        return cls(addresses, [found[address] for address in addresses])

    def name_of(self, address: int) -> str | None:
        """`try_get_folio+0x42`, or None for an address below all symbols or without table."""
        place = bisect_right(self.addresses, address) - 1
        if place < 0:
            return None
        offset = address - self.addresses[place]
        return f"{self.names[place]}+{offset:#x}" if offset else self.names[place]

    def __len__(self) -> int:
        return len(self.addresses)
