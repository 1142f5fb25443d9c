// SPDX-License-Identifier: GPL-2.0
/* VM tests: swap on a compressed RAM disk. See lib.h. */
#include <sys/swap.h>

#include "lib.h"

#define DEV	"/dev/zram0"

static bool swap_on;

static void zram_end(void)
{
	if (swap_on && swapoff(DEV))
		diag("swapoff: %s", strerror(errno));
	swap_on = false;
	file_write("/sys/block/zram0/reset", "1");
}

/* A swap header, as mkswap writes it: version 1, the last page, the magic. */
static int make_swap(long mib)
{
	static char page[PAGE];
	uint32_t *head = (uint32_t *)(page + 1024);
	int fd = open(DEV, O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	head[0] = 1;
	head[1] = mib * 256 - 1;
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	n = pwrite(fd, page, PAGE, 0);
	fsync(fd);
	close(fd);
	return n == (ssize_t)PAGE ? 0 : -EIO;
}

/* The first that the kernel has. */
static void choose(const char *const *compressors)
{
	for (; compressors && *compressors; compressors++)
		if (!file_write("/sys/block/zram0/comp_algorithm", "%s", *compressors))
			return;
}

bool zram_swap(long mib, const char *const *compressors)
{
	char size[32];

	if (!file_exists("/sys/block/zram0/disksize"))
		return false;
	at_end(END_FILES, zram_end);
	file_write("/sys/block/zram0/reset", "1");
	choose(compressors);
	snprintf(size, sizeof(size), "%ldM", mib);
	if (file_write("/sys/block/zram0/disksize", "%s", size) || make_swap(mib))
		bail("cannot prepare " DEV);
	if (swapon(DEV, 0))
		bail("swapon: %s", strerror(errno));
	swap_on = true;
	return true;
}
