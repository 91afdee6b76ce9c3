"""Which tasks are the kernel's own, by name: kernel threads, idle tasks, workers. One list for every room.

A name proves nothing of a user task (prctl(PR_SET_NAME) takes any), but kernel threads have names of known shapes
(kthread_create() callers, read in 5.10 to 7.3), and a task whose name is not known may be any of them.
"""

from __future__ import annotations

import re
from functools import lru_cache

# The name as a whole; a name that only begins alike (loopback-test, writeback-test) is a user's.
_SHAPES = (
    r"<idle>|swapper(/\d+)?|kthreadd|pool_workqueue_.*",
    r"kworker/.*",
    r"(kswapd|kcompactd|knuma_migrated)\d+|khugepaged|ksmd|oom_reaper|kmemleak|kdamond(\.\d+)?|kstaled|kshrinkd",
    r"ksoftirqd/\d+|migration/\d+|cpuhp/\d+|idle_inject/\d+|stopper/\d+|ktimers?/\d+|watchdog/\d+|backlog_napi/\d+",
    r"rcu_\w+.*|rcu[bcgopun]+/\d+|rcuo[gpbs]/\d+|rcub/\d+|srcu.*_gp.*",
    r"irq/\d+-.*|napi/.*|kblockd|kintegrityd|writeback|crypto|kthrotld|bioset|mm_percpu_wq|slub_flushwq|netns",
    r"kauditd|khungtaskd|kdevtmpfs|ksgxd|kpsmoused|hwrng|watchdogd|devfreq_wq|edac-poller|inet_frag_wq|kstrp|khvcd",
    r"jbd2/.*|ext4-rsv-conver.*|ext4lazyinit|kmmpd-.*|xfsaild/.*|xfs-[\w-]+(/.*)?|xfs_mru_cache|xfsalloc",
    r"f2fs_(gc|flush|discard|ckpt|merge)\S*|btrfs-.*|bch-.*|bcache_.*|gfs2_.*|ocfs2.*|nilfs.*|segctord|ubi_bgt\d+\w?",
    r"ubifs_bgt\S*|erofs_.*|z_erofs.*|jffs2_gcd\S*|cifsd|cifs-.*|nfsd|nfsv4.*|lockd|rpciod|xprtiod|ceph-.*|zswap-?.*",
    r"md\d+_\w+|md_\w*\d*|raid\d+.*|dm-\S*|dmcrypt_write.*|kcryptd.*|kdmflush.*|kcopyd|dm_bufio.*|loop\d+|nbd\d+.*",
    r"scsi_\w+_\d+|ata_sff|mmcqd/\d+\S*|mmc_complete|nvme-.*|zfs\S*|txg_\w+|arc_\w+|dbuf_\w+|spl_\w+|z_\w+|zvol\S*",
    r"vhost-\d+|kvm-.*|kvm_\w+|xenwatch|xenbus|xen-balloon|cfg80211|acpi_thermal_pm|usb-storage|spi\d+|i915.*|amdgpu.*",
    r"card\d+-crtc\d+|drm_.*|ttm_swap|iou-(wrk|sqp)-\d+|nv_\w+|UVM \w+.*|vballoon|virtio.*-\w+|hv_balloon",
    # What no user program calls itself: a lower-case stem, a slash and a number; a stem and a device number.
    r"[a-z][\w.-]*/(\S*:)?\d+\S*",
    r"\S+-\d+:\d+",
)
_KERNEL = re.compile("|".join(f"(?:{shape})" for shape in _SHAPES))
_ISOLATING = re.compile(r"(kswapd|kcompactd)\d+|khugepaged")
UNKNOWN_NAMES = ("", "<...>")


@lru_cache(maxsize=4096)
def is_kernel_name(comm: str) -> bool:
    """Whether a kernel thread, an idle task or a worker has this name."""
    return _KERNEL.fullmatch(comm) is not None


def is_kernel_task(tid: int | None, comm: str | None) -> bool:
    """Whether the task is the kernel's own, as far as its name shows; a nameless one is not known to be."""
    return tid == 0 or (comm is not None and is_kernel_name(comm))


def is_user_task(tid: int | None, comm: str | None) -> bool:
    """Whether the task is known to be a user's: it has a name, and no kernel thread has such a name."""
    named = comm is not None and comm not in UNKNOWN_NAMES
    return tid is not None and tid > 0 and named and not is_kernel_name(comm or "")


def isolates_in_background(comm: str) -> bool:
    """Whether this is the name of a kernel thread that isolates pages all the time."""
    return _ISOLATING.fullmatch(comm) is not None
