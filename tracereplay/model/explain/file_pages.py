"""Causes on page-cache pages: I/O that has not ended, and what file systems keep."""

from __future__ import annotations

from tracereplay.model.explain import capture
from tracereplay.model.explain.explanation import Explanation

FILE_PAGES = {
    "writeback": Explanation(
        title="under writeback",
        says="The page is being written to its device or server; migration waits for the write to end, without limit.",
        proves="writeback:folio_wait_writeback by the attempt's own task, naming (ino, index) of a page in the range, "
        "followed by a gap; with page_ref, the writeback flag in the page's events at the failing test.",
        suggests="The inode was dirtied and its writeback began without an end; a FUSE WRITE sent and not answered.",
        confused_with="locked_folio (the same gap, no folio_wait_writeback). -EBUSY in the first three asynchronous "
        "passes is normal. FUSE before 6.16 copies to temporary pages, and its originals are not under "
        "writeback.",
        what_to_do=(
            "Look at the device or server that does not finish: cat /sys/block/*/inflight; for FUSE "
            "cat /sys/fs/fuse/connections/*/waiting (write 1 to .../abort to abort its requests), for NFS nfsiostat.",
            "Write back before the attempt: sync -f MOUNTPOINT; lower vm.dirty_background_bytes and vm.dirty_bytes.",
            "Keep pages of slow or remote file systems out of the area (a mapping whose gfp lacks __GFP_MOVABLE).",
        ),
        capture_next=(capture.WRITEBACK,),
    ),
    "locked_folio": Explanation(
        title="locked for I/O",
        says="The folio is locked, usually by a read that has not ended; migration sleeps in folio_lock, without "
        "limit.",
        proves="page_ref events of the page show locked and not uptodate at the middle of the wait; or the attempt's "
        "stack in folio_lock together with a dump of the page that shows the flag.",
        suggests="A gap of much more than 10 ms inside one mm_migrate_pages without folio_wait_writeback, and pages "
        "that were added to the page cache shortly before by a task that reads a FUSE or network file system.",
        confused_with="writeback (that wait has an event), mmap_lock and anon_vma waits, a buffer_head lock. Locked "
        "and uptodate is often only a stale flag.",
        what_to_do=(
            "Let the pending read complete: most often a FUSE server does not answer "
            "(cat /sys/fs/fuse/connections/*/waiting; write 1 to .../abort to fail the read and unlock).",
            "Less readahead on that mount leaves fewer locked pages: echo 0 > /sys/class/bdi/MAJOR:MINOR/read_ahead_kb",
        ),
        capture_next=(
            capture.CALLER_STACK,
            "Record -e filemap -e fuse or -e nfs as well: who reads what",
            "Record -e sched:sched_switch as well: it shows the sleep",
        ),
    ),
    "unsplittable_folio": Explanation(
        title="large folio that cannot be split",
        says="No free block of the folio's order was left as destination, and the folio could not be split into "
        "smaller ones.",
        proves="mm_page_alloc with pfn ~0 at that order by the attempt's task, iomap_release_folio by it, and "
        "nr_split not rising; or split_huge_page returning -EBUSY or -EAGAIN in a probe.",
        suggests="order > 0 in mm_filemap_add_to_page_cache, the folio dirty, nr_thp_failed rising.",
        confused_with="destination_enomem (no destination even for single pages); an extra reference, which fails the "
        "split for the same reason as the migration. nr_thp_failed=1 with nr_failed=0 is a successful split.",
        what_to_do=(
            "Write the file back first (sync -f MOUNTPOINT): a clean folio can be split or dropped.",
            "Have free high-order memory outside the range: echo 1 > /proc/sys/vm/compact_memory",
        ),
        capture_next=(
            "Record -e kmem:mm_page_alloc -e iomap:iomap_release_folio -e filemap -e migrate -e huge_memory as well",
        ),
    ),
    "secretmem": Explanation(
        title="memfd_secret memory",
        says="The page belongs to memfd_secret(2): it is not in the direct map and the kernel refuses to move it.",
        proves="A page dump with aops:secretmem_aops, or with page_owner's stack in secretmem_fault(): of the page, or "
        "of another page of its file.",
        suggests="Single pages allocated with __GFP_ZERO for the page cache of one inode on a kernel-internal file "
        "system (device major 0, mounted nowhere), unevictable: each one tried fails at once, without a reference too "
        "many. The other pages of that inode in the range would fail too.",
        confused_with="mlocked memory and the AIO ring (which migrate fine), and dirty pages of ramfs "
        "(no_migration_handler). Its gfp keeps it out of CMA and ZONE_MOVABLE in released kernels, so it blocks "
        "alloc_contig_pages and the offline of blocks in other zones.",
        what_to_do=(
            "Let the owner unmap or close it; nothing else frees it.",
            "Online the block as movable (online_movable), so that such memory is never placed there.",
            "Boot with secretmem.enable=0 (off unless set, from 5.14 to 6.4) if it is not needed.",
        ),
        capture_next=(capture.DUMP_CONTIG, capture.DUMP_HOTPLUG, capture.KERNEL_LOG),
    ),
    "buffer_head": Explanation(
        title="buffers held by a file system",
        says="The page is block-device cache (superblock, bitmaps, inode tables, journal) whose buffers a mounted file "
        "system keeps in use.",
        proves="A page of a block-device inode (s_dev 0:3) with the private flag that was isolated and tried, and "
        "neither frozen (page_ref_freeze ret=1) nor freed; or a dump with aops:def_blk_aops and extra references.",
        suggests="The page's add to the cache of a block-device inode, nr_failed > 0 in the same batch, not dirty. "
        "Without a trace: page_owner's stack (bdev_getblk), or kpageflags with private and not uptodate.",
        confused_with="Ordinary file pages of the same file system. Buffers in a per-CPU BH LRU look the same and are "
        "dropped since 5.15 when the attempt begins; metadata that a mount holds stays until unmount.",
        what_to_do=(
            "Unmount the file system for the attempt, or mount it after the area has been taken.",
            "Drop unused buffers first: sync; echo 3 > /proc/sys/vm/drop_caches",
            'ext4: superblock readahead is kept out of movable memory by commit d87f639258a6 ("ext4: use non-movable '
            'memory for superblock readahead", 5.7); other metadata reads are not.',
        ),
        capture_next=(
            capture.DUMP_CONTIG,
            "Record -e filemap from before the mount, so that the pages' inode is known",
        ),
    ),
    "nofs_skipped": Explanation(
        title="file pages skipped, caller may not enter a file system",
        says="The caller allocates with GFP_NOFS or GFP_NOIO, so isolation skips every file page.",
        proves="The caller's gfp without __GFP_FS (or its stack inside memalloc_nofs_save), and all file pages of the "
        "range visited but not isolated, while anonymous pages were.",
        suggests="nr_taken counts only anonymous pages, and the first blocking page is an ordinary clean file page.",
        confused_with="buffer_head and locked_folio, which are tried and fail; here nothing is tried.",
        what_to_do=(
            "Allocate outside the file-system context, or before it is entered.",
            "Drop the page cache first: echo 1 > /proc/sys/vm/drop_caches",
        ),
        capture_next=("Record the stack of the allocation: trace-cmd record -e cma:cma_alloc_start -R stacktrace",),
    ),
}
