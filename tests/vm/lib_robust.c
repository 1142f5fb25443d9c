// SPDX-License-Identifier: GPL-2.0
/* VM tests: robust futexes. See robust.h. */
#include "robust.h"

void robust_mutex_init(pthread_mutex_t *m, bool shared, bool pi)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (shared)
		pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (pi)
		pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(m, &attr);
}

bool robust_wait(pthread_mutex_t *m, bool may_be_free)
{
	struct timespec ts;
	int err;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += LOST_MS / 1000;
	err = pthread_mutex_timedlock(m, &ts);
	if (err == EOWNERDEAD)
		pthread_mutex_consistent(m);
	if (err == EOWNERDEAD || !err)
		pthread_mutex_unlock(m);
	return err == EOWNERDEAD || (!err && may_be_free);
}

bool robust_wait_raw(_Atomic uint32_t *futex)
{
	long long end = now_us() + LOST_MS * 1000LL;

	for (;;) {
		struct timespec ts = { .tv_sec = LOST_MS / 1000 };
		uint32_t value = *futex;

		if (value & FUTEX_OWNER_DIED)
			return true;
		if (now_us() > end)
			return false;
		/* The wake-up counts, not the value found by looking again. */
		if (syscall(SYS_futex, futex, FUTEX_WAIT, value, &ts, NULL, 0) && errno == ETIMEDOUT)
			return false;
	}
}

static char *pages(int n, int flags)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void *last_leads_to(enum raw_end end, void *head, void *first)
{
	if (end == RAW_NOTHING)
		return (void *)PAGE;
	return end == RAW_LOOP ? first : head;
}

bool robust_raw(struct raw_futex *raw, int n, enum raw_end end)
{
	char *p = pages(n + 1, 0);
	struct robust_list_head *head = (struct robust_list_head *)(p + n * PAGE);
	struct robust_list *last;

	if (!p)
		return false;
	last = &head->list;
	head->futex_offset = (char *)&raw[0].futex - p;
	for (int i = 0; i < n; i++) {
		struct robust_list *entry = (struct robust_list *)(p + i * PAGE);

		raw[i].futex = (uint32_t)syscall(SYS_gettid) | FUTEX_WAITERS;
		last->next = entry;
		last = entry;
	}
	last->next = last_leads_to(end, head, p);
	return !syscall(SYS_set_robust_list, head, sizeof(*head));
}

struct robust_head32 {
	uint32_t next;
	int32_t futex_offset;
	uint32_t pending;
};

static long set_robust_list32(struct robust_head32 *head)
{
	long ret;

	asm volatile("int $0x80" : "=a"(ret) : "a"(311L), "b"(head), "c"(sizeof(*head))
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

bool robust_raw32(struct raw_futex *raw, int n, enum raw_end end)
{
	char *p = pages(n + 1, MAP_32BIT);
	struct robust_head32 *head = (struct robust_head32 *)(p + n * PAGE);
	uint32_t *last;

	if (!p)
		return false;
	last = &head->next;
	head->futex_offset = (char *)&raw[0].futex - p;
	for (int i = 0; i < n; i++) {
		uint32_t *entry = (uint32_t *)(p + i * PAGE);

		raw[i].futex = (uint32_t)syscall(SYS_gettid) | FUTEX_WAITERS;
		*last = (uintptr_t)entry;
		last = entry;
	}
	*last = (uintptr_t)last_leads_to(end, head, p);
	return !set_robust_list32(head);
}

bool robust_has_compat(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		char *p = pages(1, MAP_32BIT);

		_exit(!p || set_robust_list32((struct robust_head32 *)p) ? 1 : 0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}
