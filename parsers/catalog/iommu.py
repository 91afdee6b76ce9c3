"""iommu: memory mapped for devices (include/trace/events/iommu.h). A mapping made by VFIO or iommufd is a pin."""

from __future__ import annotations

from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count
from tracereplay.schema import Op

IOVA = bits("iova", "Address that the device uses")
SIZE = count("size", "Size", "bytes")
SPELLING = {"iova": Spelling("iova", Read.HEX), "paddr": Spelling("paddr", Read.HEX)}
# 6.1 added the end of the range.
RANGE = r"IOMMU: iova=(?P<iova>0x[0-9a-f]+)(?: - 0x[0-9a-f]+)?"

EVENTS = (
    EventSpec(
        "iommu", "map", "Memory was mapped for a device", (IOVA, bits("paddr", "Physical address"), SIZE),
        Op.IOMMU_MAP, {"mapping": "paddr", "val": "size"},
        (rf"{RANGE} paddr=(?P<paddr>0x[0-9a-f]+) size=(?P<size>\d+)",), SPELLING,
    ),
    EventSpec(
        "iommu", "unmap", "It was unmapped", (IOVA, SIZE, count("unmapped_size", "Size found mapped", "bytes")),
        Op.IOMMU_UNMAP, {"mapping": "iova", "val": "size"},
        (rf"{RANGE} size=(?P<size>\d+) unmapped_size=(?P<unmapped_size>\d+)",), SPELLING,
    ),
)  # fmt: skip
