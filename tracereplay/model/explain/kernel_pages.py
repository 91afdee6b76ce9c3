"""Causes on pages that the kernel or the allocator itself keeps."""

from __future__ import annotations

from tracereplay.model.explain import capture
from tracereplay.model.explain.explanation import Explanation

KERNEL_PAGES = {
    "unmovable_allocation": Explanation(
        title="unmovable kernel memory",
        says="The page was allocated without __GFP_MOVABLE (slab, page table, kernel stack, driver buffer) and has "
        "not been freed.",
        proves="mm_page_alloc that covers the page, with gfp_flags lacking __GFP_MOVABLE, and no free before the "
        "failure; or the kernel log's dump 'unmovable page' with page_owner's stack; without a trace, KPF_SLAB or "
        "KPF_PGTABLE in kpageflags.",
        suggests="A page that isolation skips: not on the LRU, without file or mapping.",
        confused_with="Movable by gfp but made unmovable later: balloon, zsmalloc, secretmem, shmem that a GPU driver "
        "keeps. In CMA and ZONE_MOVABLE the allocator rules it out: look whether the block became movable later.",
        what_to_do=(
            "The allocating task is named, not its purpose: read its stack in page_owner, and stop or unload that "
            "user.",
            "Online the block into ZONE_MOVABLE: echo online_movable > /sys/devices/system/memory/memoryN/state, or "
            "memhp_default_state=online_movable; blocks in ZONE_NORMAL are not meant to go offline.",
            "The trace ring buffer is such memory too: use a smaller one, or allocate it before onlining the block.",
        ),
        capture_next=(capture.PAGE_OWNER, capture.EARLIER),
    ),
    "percpu_free": Explanation(
        title="freed, but on a per-CPU list",
        says="The page is free, but was on a CPU's list of free pages instead of in the buddy allocator when it was "
        "tested.",
        proves="mm_page_free of the page before the failing test, no allocation since, and its mm_page_pcpu_drain "
        "after it.",
        suggests="mm_page_free shortly before the test, by another CPU.",
        confused_with="A deferred free of a hugetlb page, or a TLB batch (mmu_gather) that still holds it. Kernels up "
        "to 5.10 race here; later ones disable the lists (zone_pcp_disable) while a block goes offline.",
        what_to_do=("Retry: the page is free after the next drain.",),
        capture_next=("Record -e kmem:mm_page_free -e kmem:mm_page_pcpu_drain as well",),
    ),
    "hugetlb": Explanation(
        title="hugetlb page without a free huge page to replace it",
        says="A hugetlb page is in the range and no free huge page was available to replace it (or it is gigantic).",
        proves="A dump with page_type hugetlb, or KPF_HUGE in kpageflags, in a range that is not dissolved.",
        suggests="An allocation of order 9 or more without mm_page_alloc (taken from the pool).",
        confused_with="A transparent huge page, which is allocated with mm_page_alloc and can be split.",
        what_to_do=(
            "Provide spare huge pages: raise vm.nr_hugepages or vm.nr_overcommit_hugepages, per node where memory is "
            "bound.",
            "Gigantic pages: release them first (echo 0 > /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages).",
        ),
        capture_next=("Keep /proc/kpageflags of the range and /proc/meminfo (HugePages_*)", capture.DUMP_HOTPLUG),
    ),
    "no_migration_handler": Explanation(
        title="its owner cannot migrate it",
        says="The page's file system or driver has no migrate_folio, so a dirty page fails and private data must be "
        "released first.",
        proves="A dump whose aops belong to a file system without migrate_folio, in a batch that fails with -EBUSY or "
        "-EAGAIN.",
        suggests="File pages of one mount fail in every pass, and succeed once written back.",
        confused_with="writeback (waits instead of failing); guest_memfd and other inaccessible mappings, which "
        "refuse with -EOPNOTSUPP since 6.12.",
        what_to_do=(
            "Write back and drop the file system's pages: sync; echo 1 > /proc/sys/vm/drop_caches",
            "Give the file system a migrate_folio (filemap_migrate_folio or buffer_migrate_folio).",
        ),
        capture_next=(capture.DUMP_CONTIG, capture.KERNEL_LOG),
    ),
    "offline_or_hwpoison": Explanation(
        title="PageOffline or poisoned",
        says="A balloon or virtio-mem driver keeps the page offline, or it is marked HWPoison after a memory error.",
        proves="A dump or kpageflags with offline (page_type) or hwpoison.",
        suggests="The driver's notifier refuses, or the log reports a memory failure at that page.",
        confused_with="preexisting: without flags, such pages are only pages with no event in the trace.",
        what_to_do=(
            "Balloon or virtio-mem: let the hypervisor return the memory first (requested-size).",
            "HWPoison: replace the module; unpoison only for tests.",
        ),
        capture_next=("Keep /proc/kpageflags of the range", capture.KERNEL_LOG),
    ),
}
