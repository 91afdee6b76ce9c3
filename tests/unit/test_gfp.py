"""GFP masks by the bits of the kernel that wrote them."""

from __future__ import annotations

import pytest

from tracereplay.gfp import GFP_BITS, GFP_BITS_4_16, gfp_names, gfp_words, kernel_of_masks


@pytest.mark.parametrize(
    ("mask", "kernel", "says"),
    [
        (0x148C48, "6.12.117", "GFP_NOFS|__GFP_HARDWALL|__GFP_NOFAIL|__GFP_COMP|__GFP_MOVABLE"),
        (0x6200CA, "4.19.152", "GFP_HIGHUSER_MOVABLE"),
        (0x6080C0, "5.3.0-rc1", "GFP_KERNEL|__GFP_ZERO"),
        (0xDC0, "5.4.0", "GFP_KERNEL|__GFP_ZERO"),
        (0xDC0, None, "GFP_KERNEL|__GFP_ZERO"),
        (0x24280CA, "4.9.7", "mask 0x24280ca of Linux 4.9"),
        (0, "6.1", "none"),
    ],
)
def test_a_mask_has_the_names_of_its_kernel(mask: int, kernel: str | None, says: str) -> None:
    assert sorted(gfp_words(mask, kernel).split("|")) == sorted(says.split("|"))


def test_bits_without_a_name_stay_as_a_number() -> None:
    assert gfp_words(0x8000CC0, "6.12") == "GFP_KERNEL|0x8000000"
    assert gfp_words(0x800000 | 0x6000C0, "4.19") == "GFP_KERNEL|0x1000000"  # CONFIG_LOCKDEP, above the named ones


@pytest.mark.parametrize("name", GFP_BITS_4_16)
def test_every_bit_of_4_19_is_the_same_name_by_the_bits_of_today(name: str) -> None:
    assert gfp_words(GFP_BITS_4_16[name], "4.19.1") == gfp_names(GFP_BITS[name])


def test_text_names_its_masks_whatever_its_kernel() -> None:
    assert kernel_of_masks("ftrace text", "4.19.152") is None
    for format_ in (
        "trace.dat v6",
        "perf.data (pipe)",
        "raw ring buffers",
        "dataset of trace.dat v7 (zstd)",
        "Perfetto trace",
    ):
        assert kernel_of_masks(format_, "4.19.152") == "4.19.152"
