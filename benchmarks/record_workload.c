/* Loops for so many seconds, prints "loops seconds cpu_seconds": record_workload alloc|gup SECONDS PAGES. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static char *map(long pages)
{
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		exit(1);
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	for (long at = 0; at < pages; at++)
		memory[at * PAGE] = 1;
	return memory;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	double seconds = atof(argv[2]), began = now();
	long pages = atol(argv[3]), loops = 0;
	int ends[2], null = open("/dev/null", O_WRONLY);
	struct rusage used;

	if (!strcmp(argv[1], "alloc")) {
		for (; now() - began < seconds; loops++)
			munmap(map(pages), pages * PAGE);
	} else {
		struct iovec range = { map(pages), pages * PAGE };

		if (pipe(ends) || fcntl(ends[1], F_SETPIPE_SZ, (int)(pages * PAGE)) < 0)
			return 1;
		for (; now() - began < seconds; loops++) {
			if (vmsplice(ends[1], &range, 1, 0) != pages * PAGE)
				return 1;
			for (long left = pages * PAGE; left > 0;) {
				ssize_t done = splice(ends[0], NULL, null, NULL, left, 0);

				if (done <= 0)
					return 1;
				left -= done;
			}
		}
	}
	getrusage(RUSAGE_SELF, &used);
	printf("%ld %.2f %.2f\n", loops, now() - began,
	       used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	return 0;
}
