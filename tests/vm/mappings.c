// SPDX-License-Identifier: GPL-2.0
/*
 * What kind of memory is taken and what is not: a victim's private memory goes
 * (small and huge pages, mlocked, watched by an MMU notifier); its private copies
 * of a file (but see copies.c), what is registered with a userfaultfd (refill.c), its
 * VM_PFNMAP mappings (shared and private), hugetlb and shared ones stay, and so does
 * the copy of a child that it forked.
 */
#include "lib.h"

#define VICTIM_MIB	40
#define SHARED_LEN	(4 * MIB)
#define HUGE_LEN	(4 * MIB)
#define PFN_LEN		(MRT_PFN_PAGES * PAGE)
#define KEY_SHARED	0x7368617265640000ULL

static struct cgroup *cg;

/* Addresses in the victim, written by it. */
struct places {
	char *pfn, *pfn_private, *huge, *shared, *file;
};

static struct places *places;
static int pfn_fd, shared_fd;

static void *map(size_t len, int flags, int fd)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* At a multiple of its length, so that the offset into it is the low part of each address. */
static void *map_pfn(int flags)
{
	char *room = map(2 * PFN_LEN, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	void *at = (void *)(((uintptr_t)room + PFN_LEN - 1) & ~(PFN_LEN - 1));

	if (!room || mmap(at, PFN_LEN, PROT_READ | PROT_WRITE, flags | MAP_FIXED, pfn_fd, 0) != at)
		return NULL;
	return at;
}

/* What a page of the private mapping holds is what was written at its offset of the shared one. */
static uint64_t pfn_private_key(void)
{
	return PATTERN_KEY ^ (uintptr_t)places->pfn ^ (uintptr_t)places->pfn_private;
}

static void map_others(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	places->pfn = map_pfn(MAP_SHARED);
	/* Without the VM_SHARED that alone would keep it. */
	places->pfn_private = map_pfn(MAP_PRIVATE);
	places->shared = map(SHARED_LEN, MAP_SHARED, shared_fd);
	places->huge = map(HUGE_LEN, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	places->file = map(SHARED_LEN, MAP_PRIVATE, shared_fd);
	if (!places->pfn || !places->pfn_private || !places->shared || !places->file)
		bail("victim: mmap: %s", strerror(errno));
	pattern_fill(places->shared, SHARED_LEN, KEY_SHARED);
	/* Private copies of half of the file. */
	pattern_fill(places->file, SHARED_LEN / 2, PATTERN_KEY);
	if (places->huge)
		memset(places->huge, 1, HUGE_LEN);
	pattern_fill(places->pfn, PFN_LEN, PATTERN_KEY);
	/* Written to, half of it becomes anonymous pages in a VM_PFNMAP mapping. */
	pattern_fill(places->pfn_private + PFN_LEN / 2, PFN_LEN / 2, pfn_private_key());
}

/*
 * VM_PFNMAP pages do not show in the pagemap: a kernel thread looks at them. It
 * looks at the private copies as well, as a system call of the victim may.
 */
static void look_at(struct victim *v, void *arg)
{
	struct mrt_borrow shared = { .addr = (uintptr_t)places->pfn, .len = PFN_LEN, .key = PATTERN_KEY };
	struct mrt_borrow private = { .addr = (uintptr_t)places->pfn_private, .len = PFN_LEN, .key = pfn_private_key() };
	struct mrt_borrow file = { .addr = (uintptr_t)places->file, .len = SHARED_LEN / 2, .key = PATTERN_KEY };
	const int *fds = arg;

	v->sh->word[0] = ioctl(fds[0], MRT_BORROW_MM, &shared) || ioctl(fds[1], MRT_BORROW_MM, &private) ||
			 ioctl(fds[2], MRT_BORROW_MM, &file) ? -errno : 1;
}

static void check_watched(int watch_fd, const char *name, const char *which)
{
	struct mrt_borrow_report r = { 0 };

	ioctl(watch_fd, MRT_BORROW_STOP, &r);
	ok(r.good && !r.efault && !r.wrong, "%s: the kernel reads what was written to %s", name, which);
	diag("%s: %llu good, %llu EFAULT, %llu wrong", which, (unsigned long long)r.good, (unsigned long long)r.efault,
	     (unsigned long long)r.wrong);
}

static void others_stay(void)
{
	const char *name = "other mappings";
	struct victim *v;
	char *ours;
	int pagemap, watch_fds[] = { mrt_open(), mrt_open(), mrt_open() };

	file_set("/proc/sys/vm/nr_hugepages", "4");
	pfn_fd = mrt_open();
	shared_fd = memfd_create("shared", MFD_CLOEXEC);
	if (shared_fd < 0 || ftruncate(shared_fd, SHARED_LEN))
		bail("memfd: %s", strerror(errno));
	ours = map(SHARED_LEN, MAP_SHARED, shared_fd);
	places = map(PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_mappings", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .setup = map_others,
		.run = look_at, .arg = watch_fds });
	victim_go(v);
	if (!WAIT_UNTIL(v->sh->word[0], PATIENCE_MS) || v->sh->word[0] < 0)
		bail("MRT_BORROW_MM: %s", strerror(-v->sh->word[0]));
	pagemap = victim_pagemap(v);
	is_eq(pages_there(pagemap, v->sh->mem, VICTIM_MIB * MIB), VICTIM_MIB * 256, "%s: the test sees what is mapped", name);
	victim_kill(v);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && mrt_held(v->how.holds, v->pid) > 0,
	   "%s: the victim is reaped while it is stuck", name);
	is_eq(pages_there(pagemap, v->sh->mem, VICTIM_MIB * MIB), 0, "%s: its private memory is gone, all of it", name);
	is_eq(pages_there(pagemap, places->file, SHARED_LEN / 2), SHARED_LEN / 2 / PAGE,
	      "%s: its private copies of a file stay", name);
	is_eq(pages_there(pagemap, places->shared, SHARED_LEN), SHARED_LEN / PAGE, "%s: shared memory stays mapped", name);
	if (places->huge)
		is_eq(pages_there(pagemap, places->huge, HUGE_LEN), HUGE_LEN / PAGE, "%s: hugetlb pages stay mapped", name);
	else
		skip("no hugetlb pages", "%s: hugetlb pages stay mapped", name);
	check_watched(watch_fds[0], name, "VM_PFNMAP pages, shared");
	check_watched(watch_fds[1], name, "VM_PFNMAP pages, private");
	check_watched(watch_fds[2], name, "private copies of a file");
	is_eq(ioctl(pfn_fd, MRT_PFN_CHECK, 0), 0, "%s: VM_PFNMAP pages are intact", name);
	for (size_t off = 0; off < SHARED_LEN; off += PAGE)
		*(uint64_t *)(ours + off) ^= (uintptr_t)(places->shared + off) ^ (uintptr_t)(ours + off);
	is_eq(pattern_bad(ours, SHARED_LEN, KEY_SHARED), 0, "%s: shared memory is intact for others", name);
	munmap(ours, SHARED_LEN);
	close(shared_fd);
	close(pagemap);
	check_gone(v, name);
	victim_free(v);
	for (size_t i = 0; i < ARRAY_SIZE(watch_fds); i++)
		mrt_close(watch_fds[i]);
	mrt_close(pfn_fd);
	file_set("/proc/sys/vm/nr_hugepages", "0");
}

/* The child's pages are its parent's until one of them writes. */
static void fork_copy(struct victim *v, void *arg)
{
	pid_t pid = fork();

	(void)arg;
	if (pid)
		return;
	v->sh->word[0] = getpid();
	while (!v->sh->word[1])
		usleep(1000);
	v->sh->word[2] = pattern_bad(v->sh->mem, v->how.mib * MIB, PATTERN_KEY) + 1;
	_exit(0);
}

static void forked_child(void)
{
	const char *name = "forked child";
	struct victim *v;
	pid_t child;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_parent", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = fork_copy });
	victim_go(v);
	WAIT_UNTIL(v->sh->word[0], PATIENCE_MS);
	victim_kill(v);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS), "%s: the parent is reaped", name);
	ok(memory_there(v), "%s: the pages that the child still has are not freed", name);
	v->sh->word[1] = 1;
	ok(WAIT_UNTIL(v->sh->word[2], PATIENCE_MS), "%s: the child lives", name);
	is_eq(v->sh->word[2] - 1, 0, "%s: its memory is intact", name);
	child = v->sh->word[0];
	check_gone(v, name);
	victim_free(v);
	/* It becomes ours when its parent's last thread is gone. */
	ok(WAIT_UNTIL(waitpid(child, NULL, WNOHANG) == child, PATIENCE_MS), "%s: and can be waited for", name);
}

static void plain(const char *name, enum pages pages)
{
	struct mr_stats before = mr_stats();
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_plain", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .pages = pages });
	if (pages == PAGES_HUGE) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", v->pid);
		is_ge(file_key(path, "AnonHugePages:"), VICTIM_MIB * KIB_PER_MIB / 2, "%s: it has them", name);
	}
	victim_kill(v);
	check_reaped(v, &before, "killed", name);
	victim_free(v);
}

static void huge_pages(void)
{
	if (file_exists("/sys/kernel/mm/transparent_hugepage/enabled"))
		plain("huge pages", PAGES_HUGE);
	else
		skip("the kernel has no transparent huge pages", "huge pages: it has them");
}

static void lock_all(struct victim *v, void *arg)
{
	(void)v;
	(void)arg;
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		bail("mlockall: %s", strerror(errno));
}

/* Up to 5.17 the kernel's own reaper leaves locked memory to the exit. */
static void mlocked(void)
{
	const char *name = "mlocked";
	long locked = meminfo_kib("Mlocked");
	struct mr_stats before = mr_stats();
	struct victim *v;

	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_mlocked", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .setup = lock_all });
	victim_kill(v);
	if (kernel_at_least(5, 18)) {
		check_reaped(v, &before, "killed", name);
	} else {
		ok(later_victim_taken(), "%s: a victim that comes after it is taken", name);
		ok(memory_there(v), "%s: its memory stays while it is stuck", name);
		check_gone(v, name);
	}
	ok(WAIT_UNTIL(meminfo_kib("Mlocked") <= locked + 256, PATIENCE_MS), "%s: the count of locked pages is back", name);
	victim_free(v);
}

static void watch(struct victim *v, void *arg)
{
	(void)arg;
	v->sh->word[0] = ioctl(pfn_fd, MRT_NOTIFY, v->sh->word[1]) ? -errno : 1;
}

/* @refuse: that many of the non-blocking calls are refused first. */
static void notifier(const char *name, long refuse)
{
	struct mrt_notify_report was, is;
	struct mr_stats before = mr_stats();
	struct victim *v;

	pfn_fd = mrt_open();
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_watched", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_D, .run = watch });
	v->sh->word[1] = refuse;
	victim_go(v);
	WAIT_UNTIL(v->sh->word[0], PATIENCE_MS);
	if (v->sh->word[0] == -EOPNOTSUPP) {
		skip("the kernel has no CONFIG_MMU_NOTIFIER", "%s: its memory is back while it is stuck", name);
		victim_free(v);
		return;
	}
	ioctl(pfn_fd, MRT_NOTIFY_REPORT, &was);
	victim_kill(v);
	ok(memory_back(v), "%s: memory is back", name);
	ioctl(pfn_fd, MRT_NOTIFY_REPORT, &is);
	diag("%s: %llu invalidations, %llu ended, %llu without blocking, %llu refused", name,
	     (unsigned long long)(is.starts - was.starts), (unsigned long long)(is.ends - was.ends),
	     (unsigned long long)(is.nonblock - was.nonblock), (unsigned long long)(is.refused - was.refused));
	ok(is.nonblock > was.nonblock, "%s: its watcher was told, without being made to wait", name);
	is_eq(is.refused, refuse, "%s: it refused %ld times", name, refuse);
	if (!refuse)
		ok(WAIT_UNTIL(!ioctl(pfn_fd, MRT_NOTIFY_REPORT, &is) && is.starts == is.ends, PATIENCE_MS),
		   "%s: each invalidation that began has ended", name);
	/* The one after the refusals must have been memrescue's own. */
	check_reaped(v, &before, "killed", name);
	mrt_close(pfn_fd);
	victim_free(v);
}

/* ---- an MMU notifier, and mmap_lock held for writing ---- */

static int sleep_fd;

static void *sleep_thread(void *arg)
{
	(void)arg;
	ioctl(sleep_fd, MRT_SLEEP_D, 2UL * PATIENCE_MS);
	return NULL;
}

/* Before the lock is taken, which the notifier needs as well. A second stuck thread keeps the address space afterwards. */
static void watch_and_sleep(struct victim *v, void *arg)
{
	pthread_t thread;

	watch(v, arg);
	if (pthread_create(&thread, NULL, sleep_thread, NULL))
		bail("victim: pthread_create");
}

/* By the locks of the VMAs, where there are any; else when mmap_lock is free. */
static void check_locked(struct victim *v, const char *name)
{
	struct mrt_notify_report was, is;

	ioctl(pfn_fd, MRT_NOTIFY_REPORT, &was);
	victim_kill(v);
	if (kernel_has_vma_locks()) {
		ok(memory_back(v) && mrt_held(v->how.holds, v->pid) > 0, "%s: memory is back while it is locked", name);
	} else {
		ok(later_victim_taken() && mrt_held(v->how.holds, v->pid) > 0, "%s: a victim that comes after it is taken",
		   name);
		ok(memory_there(v) && !log_find("memrescue: reaped pid=%d ", v->pid),
		   "%s: it is not touched while it is locked", name);
		ioctl(pfn_fd, MRT_NOTIFY_REPORT, &is);
		is_eq(is.starts - was.starts, 0, "%s: its watcher hears nothing", name);
		mrt_release(v->how.holds);
		ok(memory_back(v) && mrt_held(sleep_fd, v->pid) > 0,
		   "%s: memory is back while it is stuck, but not locked", name);
	}
	ioctl(pfn_fd, MRT_NOTIFY_REPORT, &is);
	ok(is.nonblock > was.nonblock, "%s: its watcher was told, without being made to wait", name);
	mrt_release(v->how.holds);
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS), "%s: by memrescue", name);
	mrt_release(sleep_fd);
	check_gone(v, name);
	ok(mr_wait_idle(), "%s: nothing is in flight afterwards", name);
}

static void notifier_locked(void)
{
	const char *name = "MMU notifier, write lock";
	struct victim *v;

	pfn_fd = mrt_open();
	sleep_fd = mrt_open();
	log_mark();
	v = victim_new(&(struct victim_how){
		.name = "v_watchlock", .cg = cg, .mib = VICTIM_MIB, .stuck = STUCK_MMAP_WRITE, .setup = watch_and_sleep });
	if (v->sh->word[0] == -EOPNOTSUPP)
		skip("the kernel has no CONFIG_MMU_NOTIFIER", "%s: memory is back while it is locked", name);
	else if (ok(v->sh->word[0] == 1 && WAIT_UNTIL(mrt_held(sleep_fd, v->pid) > 0, PATIENCE_MS), "%s: it is stuck", name))
		check_locked(v, name);
	mrt_close(sleep_fd);
	mrt_close(pfn_fd);
	mrt_release(mrt());
	victim_free(v);
}

int main(void)
{
	cg = cg_new("mappings");
	ok(mr_loaded(), "memrescue is there");
	plain("4 KiB pages", PAGES_SMALL);
	huge_pages();
	others_stay();
	forked_child();
	mlocked();
	notifier("MMU notifier", 0);
	notifier("MMU notifier that refuses", 3);
	notifier_locked();
	return done();
}
