// SPDX-License-Identifier: GPL-2.0
/*
 * What can be filled again after a zap: nothing of it goes while a system call of
 * the victim may still read it. A pager that lives fills each page that is missing,
 * with its own bytes (UFFDIO_COPY) or with zeros (UFFDIO_ZEROPAGE), as fast as it can,
 * in anonymous memory or that of a memfd; the kernel reads the victim's memory
 * meanwhile, and must see what the victim wrote, or nothing. UFFDIO_MOVE is for
 * threads of the victim only.
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <sys/uio.h>

#include "lib.h"

#define VICTIM_MIB	40
#define PLAIN_MIB	40
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#ifndef UFFDIO_MOVE
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};

#define UFFDIO_MOVE	_IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

#define PAGER_BYTE	'S'

static struct cgroup *cg, *pager_cg;

/* What the pager does, and what its memory is. */
enum fill { COPY, ZEROPAGE };
enum memory { ANONYMOUS, MEMFD_SHARED, MEMFD_PRIVATE };

struct paging {
	const char *name;
	unsigned long mode;
	enum fill fill;
	enum memory memory;
};

static const struct paging pagings[] = {
	{ "killed, with a pager", UFFDIO_REGISTER_MODE_MISSING, COPY, ANONYMOUS },
	{ "killed, with a pager of zeros", UFFDIO_REGISTER_MODE_MISSING, ZEROPAGE, ANONYMOUS },
	{ "killed, with a pager, registered for write protection only", UFFDIO_REGISTER_MODE_WP, COPY, ANONYMOUS },
	{ "killed, with a pager of a shared memfd", UFFDIO_REGISTER_MODE_MISSING, COPY, MEMFD_SHARED },
	{ "killed, with a pager of a private memfd", UFFDIO_REGISTER_MODE_MISSING, COPY, MEMFD_PRIVATE },
};

/* Shared with the victim and its pager. */
static struct {
	_Atomic int ready, stop, unavailable;
	_Atomic long copied;
	int watch_fd;
	struct paging how;
} *pager;

/* Returns true if the page was missing, and has been filled. */
static bool fill_page(int uffd, char *at, char *page)
{
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)at, .len = PAGE } };
	struct uffdio_copy copy = { .dst = (uintptr_t)at, .src = (uintptr_t)page, .len = PAGE };

	return !(pager->how.fill == ZEROPAGE ? ioctl(uffd, UFFDIO_ZEROPAGE, &zero) : ioctl(uffd, UFFDIO_COPY, &copy));
}

static void pager_run(int uffd, char *mem, size_t len)
{
	static char page[PAGE] __attribute__((aligned(4096)));

	prctl(PR_SET_NAME, "pager");
	cg_enter(pager_cg);
	memset(page, PAGER_BYTE, sizeof(page));
	while (!pager->stop) {
		for (size_t off = 0; off < len && !pager->stop; off += PAGE)
			pager->copied += fill_page(uffd, mem + off, page);
		pager->ready = 1;
		usleep(1000);
	}
	_exit(0);
}

/* A file in memory takes the place of the victim's anonymous memory. */
static void map_memfd(char *mem, size_t len)
{
	int flags = MAP_FIXED | (pager->how.memory == MEMFD_SHARED ? MAP_SHARED : MAP_PRIVATE);
	int fd = memfd_create("paged", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)len) || mmap(mem, len, PROT_READ | PROT_WRITE, flags, fd, 0) != mem)
		bail("victim: memfd: %s", strerror(errno));
	close(fd);
}

/* Memory that a pager has filled and the victim then wrote to; and some that has no pager. */
static void paged(struct victim *v, void *arg)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	size_t len = v->how.mib * MIB;
	struct uffdio_register reg = {
		.mode = pager->how.mode, .range = { .start = (uintptr_t)v->sh->mem, .len = len } };
	struct mrt_borrow borrow = { .addr = (uintptr_t)v->sh->mem, .len = len, .key = PATTERN_KEY };
	char *plain = mmap(NULL, PLAIN_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) {
		pager->unavailable = 1;
		return;
	}
	if (pager->how.memory != ANONYMOUS)
		map_memfd(v->sh->mem, len);
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

static bool paged_victim(struct victim **v, const struct paging *how, const char *name)
{
	memset(pager, 0, sizeof(*pager));
	pager->how = *how;
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
	mrt_close(pager->watch_fd);
}

static void end_paged(struct victim *v, const char *name)
{
	mrt_release(v->how.holds);
	ok(victim_wait_exit(v), "%s: the victim ends", name);
	pager_end();
	ok(WAIT_UNTIL(cg_empty(cg) && cg_kib(cg) <= 1024, PATIENCE_MS), "%s: nothing of it is left in its cgroup", name);
	victim_free(v);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
	is_eq(log_bad(), 0, "%s: the kernel has nothing to complain about", name);
}

static void killed(const struct paging *how)
{
	const char *name = how->name;
	struct victim *v;
	long kib;

	if (!paged_victim(&v, how, name))
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

	if (!paged_victim(&v, &pagings[0], name))
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

/* ---- UFFDIO_MOVE ---- */

static void *move_thread(void *arg)
{
	struct victim *v = arg;
	size_t len = v->how.mib * MIB / 2;
	uint64_t there = (uintptr_t)v->sh->mem, other = there + len;

	for (;;) {
		struct uffdio_move move = { .dst = other, .src = there, .len = len };

		/* Some pages may have been moved when it is refused: EAGAIN. */
		while (ioctl((int)v->sh->word[3], UFFDIO_MOVE, &move)) {
			if (errno != EAGAIN || move.move < 0) {
				v->sh->word[1] = -errno;
				return NULL;
			}
			move.dst += move.move;
			move.src += move.move;
			move.len -= move.move;
		}
		v->sh->word[0]++;
		there = other;
		other = (uintptr_t)v->sh->mem + (there == (uintptr_t)v->sh->mem ? len : 0);
	}
}

/* One half of its memory goes to and fro between two registered ranges. */
static void moving(struct victim *v, void *arg)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	size_t len = v->how.mib * MIB;
	struct uffdio_register reg = {
		.mode = UFFDIO_REGISTER_MODE_MISSING, .range = { .start = (uintptr_t)v->sh->mem, .len = len } };
	char *plain = mmap(NULL, PLAIN_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	(void)arg;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) {
		v->sh->word[1] = -ENOSYS;
		return;
	}
	madvise(v->sh->mem, len, MADV_NOHUGEPAGE);
	madvise(v->sh->mem + len / 2, len / 2, MADV_DONTNEED);
	pattern_fill(plain, PLAIN_MIB * MIB, PATTERN_KEY);
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		bail("victim: UFFDIO_REGISTER: %s", strerror(errno));
	v->sh->word[3] = uffd;
	if (pthread_create(&thread, NULL, move_thread, v))
		bail("victim: pthread_create");
}

/* It is killed while its pages are on their way. */
static void moved(bool stuck)
{
	const char *name = stuck ? "pages that move, and a stuck thread" : "pages that move";
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_moving", .cg = cg, .mib = VICTIM_MIB, .pages = PAGES_SMALL, .stuck = stuck ? STUCK_D : STUCK_NOT,
		.run = moving });
	victim_go(v);
	if (!WAIT_UNTIL(v->sh->word[0] >= 2 || v->sh->word[1], PATIENCE_MS))
		bail("nothing moves");
	if (v->sh->word[1] == -EINVAL || v->sh->word[1] == -ENOTTY || v->sh->word[1] == -ENOSYS) {
		skip("the kernel has no UFFDIO_MOVE", "%s", name);
		mrt_release(mrt());
		victim_free(v);
		return;
	}
	is_eq(v->sh->word[1], 0, "%s: they do", name);
	victim_kill(v);
	if (stuck)
		ok(WAIT_UNTIL(cg_key(cg, "memory.stat", "anon") <= (long)(VICTIM_MIB * MIB * 6 / 10), PATIENCE_MS) &&
		   mrt_held(v->how.holds, v->pid) > 0, "%s: what is not registered is back while it is stuck", name);
	end_paged(v, name);
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
	for (size_t i = 0; i < ARRAY_SIZE(pagings); i++)
		killed(&pagings[i]);
	moved(true);
	moved(false);
	out_of_memory();
	collapsed();
	return done();
}
