/* Holds references to pages of its own, and says which: hold vmsplice|direct SECONDS PAGES [FILE]. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

static void tell(const char *what, char *memory, long pages)
{
	int map = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	printf("%s pid %d pfns", what, getpid());
	for (long i = 0; i < pages; i++) {
		if (pread(map, &entry, 8, (uintptr_t)(memory + i * PAGE) / PAGE * 8) == 8)
			printf(" 0x%llx", (unsigned long long)(entry & ((1ULL << 55) - 1)));
	}
	printf("\n");
	fflush(stdout);
	close(map);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	long pages = atol(argv[3]);
	int pipe_ends[2];
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	memset(memory, 7, pages * PAGE);
	if (!strcmp(argv[1], "vmsplice")) {
		struct iovec range = { memory, pages * PAGE };

		if (pipe(pipe_ends) || fcntl(pipe_ends[1], F_SETPIPE_SZ, (int)(pages * PAGE)) < 0 ||
		    vmsplice(pipe_ends[1], &range, 1, 0) != pages * PAGE)
			return 1;
		tell("held", memory, pages);
		sleep(atoi(argv[2]));
		for (long i = 0; i < pages; i++)
			if (read(pipe_ends[0], memory, PAGE) != PAGE)
				return 1;
	} else if (argc > 4) { /* one O_DIRECT read after the other, from a disk that is slow */
		int file = open(argv[4], O_RDONLY | O_DIRECT);

		tell("held", memory, pages);
		for (int i = 0; i < atoi(argv[2]); i++)
			if (pread(file, memory, pages * PAGE, (off_t)i * pages * PAGE) < 0)
				return 1;
	}
	tell("released", memory, pages);
	return 0;
}
