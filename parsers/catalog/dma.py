"""dma: memory mapped for a transfer (include/trace/events/dma.h, 6.12+). While it lasts, the pages must not move."""

from __future__ import annotations

from tracereplay.gfp import GFP
from tracereplay.parsers.catalog.enums import DMA_ATTRS, DMA_DIRECTIONS
from tracereplay.parsers.catalog.spec import EventSpec, Read, Spelling, bits, count, text

DEVICE = text("device", "Name of the device")
DMA_ADDR = bits("dma_addr", "Address that the device uses")
ADDR = bits("addr", "Address that the device uses")
PHYS = bits("phys_addr", "Physical address")
SIZE = count("size", "Size", "bytes")
DIR = count("dir", "0 both ways, 1 to the device, 2 from the device, 3 none")
ATTRS = bits("attrs", "DMA_ATTR_* bits")
VIRT = bits("virt_addr", "Kernel virtual address")
SPELLING = {
    "dir": Spelling("dir", Read.NAME, DMA_DIRECTIONS),
    "dma_addr": Spelling("dma_addr", Read.HEX),
    "phys_addr": Spelling("phys_addr", Read.HEX),
    "virt_addr": Spelling("virt_addr", Read.HEX),
    "flags": Spelling("flags", Read.FLAGS, GFP),
    "attrs": Spelling("attrs", Read.FLAGS, DMA_ATTRS),
}
UNMAP_SPELLING = SPELLING | {"dma_addr": Spelling("addr", Read.HEX)}
START = r"(?P<device>.*) dir=(?P<dir>\w+) dma_addr=(?P<dma_addr>[0-9a-f]+) size=(?P<size>\d+)"
END = r"attrs=(?P<attrs>\S*)"

EVENTS = (
    *(
        EventSpec("dma", name, "Memory was mapped for a transfer", (DEVICE, PHYS, DMA_ADDR, SIZE, DIR, ATTRS),
                  text=(rf"{START} phys_addr=(?P<phys_addr>[0-9a-f]+) {END}",), spelling=SPELLING)
        for name in ("dma_map_page", "dma_map_resource", "dma_map_phys")
    ),
    *(
        EventSpec("dma", name, "The transfer is over; join by device and address", (DEVICE, ADDR, SIZE, DIR, ATTRS),
                  text=(rf"{START} {END}",), spelling=UNMAP_SPELLING)
        for name in ("dma_unmap_page", "dma_unmap_resource", "dma_unmap_phys")
    ),
    EventSpec("dma", "dma_alloc", "A buffer for a device was allocated (often from CMA)",
              (DEVICE, VIRT, DMA_ADDR, SIZE, bits("flags", "GFP mask"), DIR, ATTRS),
              text=(rf"{START} virt_addr=(?P<virt_addr>\S+) flags=(?P<flags>\S+) {END}",), spelling=SPELLING),
    EventSpec("dma", "dma_free", "It was given back", (DEVICE, VIRT, DMA_ADDR, SIZE, DIR, ATTRS),
              text=(rf"{START} virt_addr=(?P<virt_addr>\S+) {END}",), spelling=SPELLING),
)  # fmt: skip
