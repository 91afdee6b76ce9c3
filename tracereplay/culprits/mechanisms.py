"""Which call took a reference, by the functions on its stack."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A way to take references; longterm -- it pins with FOLL_LONGTERM; pins -- it pins (FOLL_PIN)."""

    name: str
    functions: tuple[str, ...]
    longterm: bool = False
    pins: bool = False


# Which of a system call's functions are on a stack goes by architecture and compiler: __x64_sys_NAME on 6.12,
# __do_sys_NAME on 6.1, __arm64_sys_NAME ... Here: sys_NAME.
_SYSCALL = re.compile(r"_+[a-z0-9]+_(?:compat_)?(sys_\w+)")
# First match wins; functions as named in 5.10 to 7.2.
MECHANISMS = (
    Mechanism("vfio", ("vfio_pin_pages_remote", "vaddr_get_pfns"), longterm=True),
    Mechanism("iommufd", ("iopt_pages_fill", "pfn_reader_user_pin"), longterm=True),
    Mechanism("rdma", ("ib_umem_get",), longterm=True),
    Mechanism("io_uring buffers", ("io_pin_pages", "io_sqe_buffer_register", "io_sqe_buffers_register"), longterm=True),
    Mechanism("xdp umem", ("xdp_umem_pin_pages", "xdp_umem_reg"), longterm=True),
    Mechanism("vdpa", ("vhost_vdpa_pa_map",), longterm=True),
    Mechanism("v4l2", ("get_vaddr_frames", "vb2_create_framevec"), longterm=True),
    Mechanism("vmsplice", ("sys_vmsplice", "vmsplice_to_pipe")),
    Mechanism("splice", ("filemap_splice_read", "generic_file_splice_read", "shmem_file_splice_read", "do_splice")),
    Mechanism("process_vm", ("process_vm_rw",)),
    Mechanism("ptrace", ("access_remote_vm", "__access_remote_vm")),
    Mechanism("zero-copy send", ("zerocopy_sg_from_iter", "__zerocopy_sg_from_iter", "msg_zerocopy")),
    Mechanism("bio (O_DIRECT)", ("bio_iov_iter_get_pages", "iomap_dio_rw", "blkdev_direct_IO", "dio_refill_pages")),
    Mechanism("futex", ("get_futex_key",)),
    Mechanism("pin_user_pages", ("pin_user_pages", "pin_user_pages_fast", "pin_user_pages_remote"), pins=True),
)


@lru_cache(maxsize=1 << 12)  # a machine's references share few stacks
def mechanism_of(frames: tuple[str, ...] | None) -> Mechanism | None:
    """The mechanism whose function is on the stack; None without a stack or a match."""
    if not frames:
        return None
    names = {_SYSCALL.sub(r"\1", frame.split("+", 1)[0].split(".", 1)[0]) for frame in frames}
    return next((one for one in MECHANISMS if names & set(one.functions)), None)
