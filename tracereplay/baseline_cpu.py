"""The CPU that kernels are compiled for: a common one, so that wheels can carry them.

x86-64-v3 is AVX2, BMI, F16C and FMA: Haswell and later (x86-64 psABI, 3.1.1). Other machines compile for themselves.
"""

from __future__ import annotations

import platform
from typing import Any

import llvmlite.binding as llvm

X86_64_V3 = ("avx2", "bmi", "bmi2", "cx16", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sse4.2", "xsave")


def use_baseline_cpu(config: Any) -> None:
    """Set numba's target, unless the user chose one (NUMBA_CPU_NAME)."""
    if config.CPU_NAME is None and platform.machine() == "x86_64" and _has_v3():
        config.CPU_NAME, config.CPU_FEATURES = "x86-64-v3", ""


def _has_v3() -> bool:
    features = llvm.get_host_cpu_features()
    return all(features.get(name) for name in X86_64_V3)
