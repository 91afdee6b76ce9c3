"""Words that give nothing away: those this project writes itself, and names that every kernel has."""

from __future__ import annotations

import re

from tracereplay.gfp import GFP, GFP_BITS_4_16
from tracereplay.losses import LOSS_KINDS
from tracereplay.model.explain import EXPLANATIONS

_PAGE_FLAGS = (
    "active anon arch arch_2 checked dirty dropbehind error foreign has_hwpoisoned head hwpoison idle isolated "
    "large_rmappable locked lru mappedtodisk mlocked owner_2 owner_priv owner_priv_1 pinned private private_2 "
    "reclaim referenced reported reserved slab swapbacked swapcache tail uncached unevictable uptodate waiters "
    "workingset writeback young"
)
_FILE_SYSTEMS = (
    "9p bdev btrfs ceph cifs def_blk devtmpfs erofs exfat ext2 ext3 ext4 f2fs fuse gfs2 hugetlbfs iomap jffs2 nfs "
    "ntfs3 ocfs2 overlay proc ramfs shmem smb3 squashfs sysfs tmpfs ubifs vfat xfs zonefs"
)
_CLOCKS = "boot counter global local mono mono_raw perf ppc-tb realtime tai uptime x86-tsc"
# Of evidence, holders and losses, as culprits/ and parsers/ word them.
_TEMPLATES = (
    "a addr an and anon anonymous aops as at attempt back because before bio blame block boot buffers bus by byte "
    "bytes came cma comm confidential count cpu cpus damaged data describe detail dev device does dumped during early "
    "ended ends entry error event events excess exited expected explain export fail-on failed failure file files "
    "fin_pfn first flags foll_pin followed format formats free freed from full futex gfp_flags given had held holds "
    "html id in incomplete info ino inode io_uring iommufd is isolating it its json junit kernel kernel-log layout "
    "left less life line lines log longer lost map mapcount mapping maps md metadata migrated migratetype migrating "
    "migration missing more mt neither no no-progress none nor not notifier o_direct of offline on only options or "
    "order out outlived output own owner page page-owner page-pinner pages part pfn pin plot points process_vm ptrace "
    "quiet range rcu rdma read record recorded records redact refcount reference references refused report "
    "restored ret "
    "ring_buffer said same sampled samples send several shorter since skipped sleeps snapshot something splice still "
    "stream system taken task test text than that the them there this to toml took trace tracer tracing twice umem "
    "unknown unmovable unreadable unseen up uptime uptodate used v4l2 val values vdpa vfio vmsplice was were what "
    "which while with within without written xdp zero-copy zone"
)
_EXPLAINED = " ".join(
    word
    for e in EXPLANATIONS.values()
    for word in (e.title, e.says, e.proves, e.suggests, e.confused_with, *e.what_to_do, *e.capture_next)
)
_LOSSES = " ".join(f"{kind.doc} {kind.advice}" for kind in LOSS_KINDS.values())

WORDS = (
    frozenset(
        word
        for text in (_PAGE_FLAGS, _CLOCKS, _TEMPLATES, _EXPLAINED, _LOSSES)
        for piece in re.findall(r"[^\W\d][\w.\-]*", text)
        for word in (piece.rstrip(".-"), piece.rstrip(".-").lower())
    )
    | frozenset((*GFP, *GFP_BITS_4_16))
    | frozenset(name for fs in _FILE_SYSTEMS.split() for name in (fs, f"{fs}_aops"))
)

KERNEL_TASKS = re.compile(
    r"(kswapd|kcompactd|swapper/|migration/|ksoftirqd/|cpuhp/|rcu_preempt)[0-9]*|khugepaged|<idle>|<\.\.\.>"
)
# What ftrace itself writes beside tracepoints, and what readers name so.
FTRACE_EVENTS = frozenset(
    ("bprint", "bputs", "branch", "console", "function", "kernel_stack", "print", "raw_data", "user_stack")
)
# Functions of the core kernel; any other may belong to a module or a vendor's driver.
KERNEL_FUNCTIONS = re.compile(
    r"(__(x64|arm64|ia32|se|do)_sys_|__x86_sys_|ksys_)[a-z0-9_]+"
    r"|entry_SYSCALL_64(_after_hwframe)?|do_syscall_64|x64_sys_call|el0(t_64)?_(svc|sync)(_handler|_common)?|invoke_syscall"
    r"|ret_from_fork(_asm)?|kthread|worker_thread|process_one_work|asm_exc_page_fault|exc_page_fault|do_user_addr_fault"
    r"|_*(try_get_folio|try_grab_folio(_fast)?|gup_(fast|pte_range|pgd_range|fast_fallback|fast_pte_range|fast_pgd_range))"
    r"|_*(get|pin)_user_pages(_fast|_remote|_locked|_unlocked)?|_*gup_longterm_locked|internal_get_user_pages_fast"
    r"|follow_page_(pte|mask)|faultin_page|iov_iter_(get|extract)_pages2?|iov_iter_extract_user_pages|iter_to_pipe"
    r"|vmsplice_to_pipe|do_splice|splice_direct_to_actor|filemap_splice_read|generic_file_splice_read|process_vm_rw(_core)?"
    r"|bio_iov_iter_get_pages|iomap_dio_rw|blkdev_direct_IO|io_pin_pages|io_sqe_buffers?_register|msg_zerocopy\w*"
    r"|_*zerocopy_sg_from_iter|access_remote_vm|futex_wait|get_futex_key|vfio_pin_pages_remote|vaddr_get_pfns|ib_umem_get"
    r"|_*alloc_pages(_noprof|_mpol|_bulk)?|_*folio_alloc(_noprof)?|vma_alloc_folio(_noprof)?|get_page_from_freelist"
    r"|handle_mm_fault|_*handle_mm_fault|do_anonymous_page|do_fault|filemap_(add_folio|fault|read)|page_cache_ra_unbounded"
    r"|alloc_contig_range(_noprof)?|_*alloc_contig_migrate_range|migrate_pages(_batch|_sync)?|folio_lock|_*folio_lock"
    r"|folio_wait_(writeback|bit)(_common)?|io_schedule|schedule|_*schedule|offline_pages|memory_subsys_offline|cma_alloc\w*"
)
