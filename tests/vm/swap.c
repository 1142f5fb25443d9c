// SPDX-License-Identifier: GPL-2.0
/*
 * Swapped memory is given back as well: a victim most of which is on a
 * compressed RAM disk frees its swap entries while it is stuck.
 */
#include <sys/swap.h>

#include "lib.h"

#define DEV		"/dev/zram0"
#define SWAP_MIB	96
#define VICTIM_MIB	64
#define LIMIT_MIB	24

static bool swap_on;

static void swap_end(void)
{
	if (swap_on && swapoff(DEV))
		diag("swapoff: %s", strerror(errno));
	file_write("/sys/block/zram0/reset", "1");
}

/* A swap header, as mkswap writes it: version 1, the last page, the magic. */
static int make_swap(void)
{
	static char page[PAGE];
	uint32_t *head = (uint32_t *)(page + 1024);
	int fd = open(DEV, O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	head[0] = 1;
	head[1] = SWAP_MIB * 256 - 1;
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	n = pwrite(fd, page, PAGE, 0);
	fsync(fd);
	close(fd);
	return n == (ssize_t)PAGE ? 0 : -EIO;
}

static void swap_begin(void)
{
	char size[32];

	if (!file_exists("/sys/block/zram0/disksize"))
		skip_all("the kernel has no zram");
	at_end(END_FILES, swap_end);
	file_write("/sys/block/zram0/reset", "1");
	snprintf(size, sizeof(size), "%dM", SWAP_MIB);
	if (file_write("/sys/block/zram0/disksize", "%s", size) || make_swap())
		bail("cannot prepare " DEV);
	if (swapon(DEV, 0))
		bail("swapon: %s", strerror(errno));
	swap_on = true;
}

static void swapped(const char *name, bool oom)
{
	struct cgroup *cg = cg_new("swap");
	struct victim *v, *eater = NULL;
	long free_kib = meminfo_kib("SwapFree"), used;
	struct reaped r = { 0 };

	log_mark();
	cg_set(cg, "memory.max", "%dM", LIMIT_MIB);
	v = victim_new(&(struct victim_how){
		.name = "v_swapped", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .pages = PAGES_SMALL });
	used = free_kib - meminfo_kib("SwapFree");
	is_ge(used, (VICTIM_MIB - LIMIT_MIB) * KIB_PER_MIB, "%s: the victim is on swap", name);
	if (oom) {
		/* No more of it: the next page that is needed kills. */
		cg_set(cg, "memory.swap.max", "0");
		eater = victim_new(&(struct victim_how){ .name = "v_eater", .cg = cg, .mib = 0, .run = victim_eat });
		victim_go(eater);
		WAIT_UNTIL(log_find("Killed process %d ", v->pid), PATIENCE_MS);
	} else {
		victim_kill(v);
	}
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && log_reaped(v->pid, &r),
	   "%s: it is reaped", name);
	/* Each CPU may keep a handful of freed slots back for the next user. */
	ok(WAIT_UNTIL(free_kib - meminfo_kib("SwapFree") <= used / 10, PATIENCE_MS) && mrt_held(v->how.holds, v->pid) > 0,
	   "%s: its swap is free again while it is stuck", name);
	diag("%ld KiB used, now %ld; rss_kb=%ld swap_kb=%ld freed_kb=%ld", used, free_kib - meminfo_kib("SwapFree"),
	     r.rss_kb, r.swap_kb, r.freed_kb);
	ok(r.swap_kb >= used / 2 && r.swap_kb + r.rss_kb >= VICTIM_MIB * KIB_PER_MIB * 9 / 10,
	   "%s: the log line knows its swap", name);
	if (eater)
		victim_free(eater);
	check_gone(v, name);
	victim_free(v);
	cg_remove(cg);
}

int main(void)
{
	ok(mr_loaded(), "memrescue is there");
	swap_begin();
	swapped("kill -9", false);
	swapped("memcg OOM", true);
	return done();
}
