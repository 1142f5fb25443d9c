// SPDX-License-Identifier: GPL-2.0
/*
 * What can be filled again after a zap: nothing of it goes while a system call of
 * the victim may still read it. A pager that lives copies its own bytes into each
 * page that is missing (UFFDIO_COPY), as fast as it can; the kernel reads the
 * victim's memory meanwhile, and must see what the victim wrote, or nothing.
 */
#include <linux/userfaultfd.h>
#include <sys/uio.h>

#include "lib.h"

#define VICTIM_MIB	40
#define PLAIN_MIB	40
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PAGER_BYTE	'S'

static struct cgroup *cg, *pager_cg;

/* Shared with the victim and its pager. */
static struct {
	_Atomic int ready, stop, unavailable;
	_Atomic long copied;
	int watch_fd;
	unsigned long mode;
} *pager;

static void pager_run(int uffd, char *mem, size_t len)
{
	static char page[PAGE] __attribute__((aligned(4096)));

	prctl(PR_SET_NAME, "pager");
	cg_enter(pager_cg);
	memset(page, PAGER_BYTE, sizeof(page));
	while (!pager->stop) {
		for (size_t off = 0; off < len && !pager->stop; off += PAGE) {
			struct uffdio_copy copy = { .dst = (uintptr_t)mem + off, .src = (uintptr_t)page, .len = PAGE };

			if (!ioctl(uffd, UFFDIO_COPY, &copy))
				pager->copied++;
		}
		pager->ready = 1;
		usleep(1000);
	}
	_exit(0);
}

/* Memory that a pager has filled and the victim then wrote to; and some that has no pager. */
static void paged(struct victim *v, void *arg)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	size_t len = v->how.mib * MIB;
	struct uffdio_register reg = {
		.mode = pager->mode, .range = { .start = (uintptr_t)v->sh->mem, .len = len } };
	struct mrt_borrow borrow = { .addr = (uintptr_t)v->sh->mem, .len = len, .key = PATTERN_KEY };
	char *plain = mmap(NULL, PLAIN_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) {
		pager->unavailable = 1;
		return;
	}
	/* Not every kernel has huge pages. */
	madvise(v->sh->mem, len, MADV_NOHUGEPAGE);
	if (plain == MAP_FAILED || ioctl(uffd, UFFDIO_REGISTER, &reg))
		bail("victim: UFFDIO_REGISTER: %s", strerror(errno));
	if (!fork())
		pager_run(uffd, v->sh->mem, len);
	close(uffd);
	while (!pager->ready)
		usleep(1000);
	pattern_fill(v->sh->mem, len, PATTERN_KEY);
	pattern_fill(plain, PLAIN_MIB * MIB, PATTERN_KEY);
	v->sh->word[1] = ioctl(pager->watch_fd, MRT_BORROW_MM, &borrow) ? -errno : 1;
	v->sh->word[0] = pager->copied + 1;
	while (!v->sh->word[2])
		usleep(1000);
	victim_eat(v, NULL);
}

static void pager_end(void)
{
	pager->stop = 1;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static bool paged_victim(struct victim **v, const char *name)
{
	memset(pager, 0, sizeof(*pager));
	pager->mode = UFFDIO_REGISTER_MODE_MISSING;
	pager->watch_fd = mrt_open();
	log_mark();
	*v = victim_new(&(struct victim_how){
		.name = "v_paged", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = paged });
	victim_go(*v);
	if (!WAIT_UNTIL((*v)->sh->word[0] || pager->unavailable, PATIENCE_MS))
		bail("the pager did not fill the victim's memory");
	if (!pager->unavailable && (*v)->sh->word[1] == 1)
		return true;
	skip("the kernel has no userfaultfd", "%s: the kernel reads what the victim wrote", name);
	victim_free(*v);
	mrt_close(pager->watch_fd);
	return false;
}

static void check_read(struct victim *v, const char *name)
{
	struct mrt_borrow_report r = { 0 };

	ioctl(pager->watch_fd, MRT_BORROW_STOP, &r);
	diag("%s: %llu good, %llu EFAULT, %llu wrong", name, (unsigned long long)r.good, (unsigned long long)r.efault,
	     (unsigned long long)r.wrong);
	ok(r.good && !r.wrong, "%s: the kernel reads what the victim wrote, or nothing", name);
	is_eq(pager->copied + 1 - v->sh->word[0], 0, "%s: no page is filled again", name);
}

static void end_paged(struct victim *v, const char *name)
{
	mrt_close(pager->watch_fd);
	mrt_release(v->how.holds);
	ok(victim_wait_exit(v), "%s: the victim ends", name);
	pager_end();
	ok(WAIT_UNTIL(cg_empty(cg) && cg_kib(cg) <= 1024, PATIENCE_MS), "%s: nothing of it is left in its cgroup", name);
	victim_free(v);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
}

static void killed(void)
{
	const char *name = "killed, with a pager";
	struct victim *v;
	long kib;

	if (!paged_victim(&v, name))
		return;
	kib = cg_kib(cg);
	victim_kill(v);
	ok(WAIT_UNTIL(cg_kib(cg) <= kib - PLAIN_MIB * KIB_PER_MIB * 9 / 10, PATIENCE_MS) && mrt_held(v->how.holds, v->pid) > 0,
	   "%s: what has no pager is back while it is stuck", name);
	ok(later_victim_taken(), "%s: a victim that comes after it is taken", name);
	ok(memory_there(v), "%s: what has a pager stays", name);
	check_read(v, name);
	end_paged(v, name);
}

/* As the stock kernel: after its delay, what the pager then does is the pager's business. */
static void out_of_memory(void)
{
	const char *name = "out of memory, with a pager";
	struct victim *v;

	if (!paged_victim(&v, name))
		return;
	check_read(v, name);
	pager->stop = 1;
	cg_limit_mib(cg, cg_kib(cg) / KIB_PER_MIB + 16);
	v->sh->word[2] = 1;
	ok(WAIT_UNTIL(cg_key(cg, "memory.events", "oom_kill") > 0, PATIENCE_MS), "%s: the OOM killer kills it", name);
	ok(memory_back(v) && mrt_held(v->how.holds, v->pid) > 0, "%s: all of its memory is back while it is stuck", name);
	end_paged(v, name);
	cg_set(cg, "memory.max", "max");
}

/*
 * MADV_COLLAPSE from outside (6.1 on) would make huge pages of zeros of what was
 * zapped; on 7.2 page tables with nothing in them are enough.
 */
static void collapsed(void)
{
	const char *name = "collapse";
	struct iovec range;
	struct victim *v;
	int pidfd;

	v = victim_new(&(struct victim_how){
		.name = "v_collapse", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .stuck_main = true, .pages = PAGES_SMALL });
	pidfd = (int)syscall(SYS_pidfd_open, v->pid, 0);
	log_mark();
	victim_kill(v);
	ok(memory_back(v) && mrt_held(v->how.holds, v->pid) > 0, "%s: its memory is back while it is stuck", name);
	range = (struct iovec){ .iov_base = v->sh->mem, .iov_len = VICTIM_MIB * MIB };
	ok(syscall(SYS_process_madvise, pidfd, &range, 1, MADV_COLLAPSE, 0) < 0, "%s: it is refused", name);
	diag("%s: %s", name, strerror(errno));
	ok(memory_back(v), "%s: and no memory is taken for it", name);
	close(pidfd);
	check_gone(v, name);
	victim_free(v);
}

int main(void)
{
	cg = cg_new("refill");
	pager_cg = cg_new("pager");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pager = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pager == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	ok(mr_loaded(), "memrescue is there");
	killed();
	out_of_memory();
	collapsed();
	return done();
}
