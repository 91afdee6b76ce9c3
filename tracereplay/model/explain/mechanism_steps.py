"""What to do about a reference, by the call that took it (culprits/mechanisms.py names them)."""

from __future__ import annotations

_PIPE = (
    "Read or close the pipe that keeps the pages; its other end may belong to another process: "
    "ls -l /proc/[0-9]*/fd | grep pipe:"
)
_IO = "Let the I/O complete (cat /sys/block/*/inflight); a device that does not complete keeps the pages."
_BRIEF = "Retry after some milliseconds: the call keeps its references only while it runs."
MECHANISM_STEPS = {
    "vfio": "Stop the guest, or unmap the range from the VFIO container; the pages stay pinned until then.",
    "iommufd": "Unmap the range from the IOAS (IOMMU_IOAS_UNMAP), or close the file of /dev/iommu.",
    "rdma": "Deregister the memory region (ibv_dereg_mr); the pages stay pinned until then.",
    "io_uring buffers": "Unregister the fixed buffers (io_uring_unregister_buffers), or close the ring.",
    "xdp umem": "Close the AF_XDP socket: its umem stays pinned until then.",
    "vdpa": "Stop the guest or reset the vDPA device; its memory stays pinned until then.",
    "v4l2": "Release the user-pointer buffers (VIDIOC_REQBUFS with count 0), or use MMAP or DMABUF ones.",
    "vmsplice": _PIPE,
    "splice": _PIPE,
    "process_vm": _BRIEF,
    "ptrace": _BRIEF,
    "futex": _BRIEF,
    "zero-copy send": "Let the send complete: pages stay until the peer acknowledges them (ss -tmi shows the queue).",
    "bio (O_DIRECT)": _IO,
}
