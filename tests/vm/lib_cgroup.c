// SPDX-License-Identifier: GPL-2.0
/* VM tests: control groups of the unified hierarchy. See lib.h. */
#include <stdarg.h>
#include <sys/mount.h>

#include "lib.h"

#define CG_ROOT	"/sys/fs/cgroup"
#define CG_MAX	64

static struct cgroup *groups[CG_MAX];

static void remove_all(void)
{
	for (int i = 0; i < CG_MAX; i++) {
		if (!groups[i])
			continue;
		cg_set(groups[i], "cgroup.freeze", "0");
		if (!cg_remove(groups[i]))
			diag("%s cannot be removed: %s", groups[i]->path, strerror(errno));
	}
}

static void cg_init(void)
{
	static bool ready;

	if (ready)
		return;
	ready = true;
	if (!file_exists(CG_ROOT "/cgroup.procs") && mount("cgroup2", CG_ROOT, "cgroup2", 0, NULL))
		bail("cannot mount cgroup2: %s", strerror(errno));
	file_write(CG_ROOT "/cgroup.subtree_control", "+memory");
	file_write(CG_ROOT "/cgroup.subtree_control", "+cpuset");
	at_end(END_CGROUPS, remove_all);
}

struct cgroup *cg_new(const char *name)
{
	struct cgroup *cg = calloc(1, sizeof(*cg));
	int i;

	cg_init();
	for (i = 0; i < CG_MAX && groups[i]; i++)
		;
	if (!cg || i == CG_MAX)
		bail("too many cgroups");
	snprintf(cg->path, sizeof(cg->path), CG_ROOT "/mr-%s", name);
	if (mkdir(cg->path, 0755) && errno != EEXIST)
		bail("%s: %s", cg->path, strerror(errno));
	if (cg_kib(cg) < 0)
		bail("%s has no memory controller", cg->path);
	groups[i] = cg;
	return cg;
}

int cg_set(struct cgroup *cg, const char *file, const char *fmt, ...)
{
	char path[256], value[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	return file_write(path, "%s", value);
}

/* The limit is one of memory: nothing goes to swap. */
void cg_limit_mib(struct cgroup *cg, long mib)
{
	int err = cg_set(cg, "memory.max", "%ldM", mib);

	if (err)
		bail("%s/memory.max: %s", cg->path, strerror(-err));
	cg_set(cg, "memory.swap.max", "0");
}

long cg_kib(struct cgroup *cg)
{
	char path[256];
	long bytes;

	snprintf(path, sizeof(path), "%s/memory.current", cg->path);
	bytes = file_long(path, -1);
	return bytes < 0 ? -1 : bytes / 1024;
}

long cg_key(struct cgroup *cg, const char *file, const char *key)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	return file_key(path, key);
}

/* Called by a child: it moves itself. */
int cg_enter(struct cgroup *cg)
{
	return cg_set(cg, "cgroup.procs", "0");
}

bool cg_empty(struct cgroup *cg)
{
	return cg_key(cg, "cgroup.events", "populated") == 0;
}

bool cg_wait_below(struct cgroup *cg, long kib, long ms)
{
	return WAIT_UNTIL(cg_kib(cg) <= kib, ms);
}

bool cg_remove(struct cgroup *cg)
{
	bool gone = WAIT_UNTIL(!rmdir(cg->path) || errno == ENOENT, PATIENCE_MS);

	for (int i = 0; i < CG_MAX; i++)
		if (groups[i] == cg)
			groups[i] = NULL;
	if (gone)
		free(cg);
	return gone;
}
