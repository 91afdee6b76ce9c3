"""A wheel carries compiled kernels where `make wheel` has made some: then it is of one platform and Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = Path("build") / "kernels"


class KernelsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts them where `tracereplay.compiled` looks."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder, if there is one."""
        if version == "standard" and (Path(self.root) / KERNELS).is_dir():
            build_data["force_include"][str(KERNELS)] = "tracereplay/kernels"
            build_data["pure_python"], build_data["infer_tag"] = False, True
