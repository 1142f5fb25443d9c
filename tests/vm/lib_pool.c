// SPDX-License-Identifier: GPL-2.0
/* See lib_pool.h. */
#include <stdarg.h>

#include "lib_pool.h"

long pool(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), MR_POOL "%s", name);
	return file_long(path, -1);
}

int pool_set(const char *name, const char *fmt, ...)
{
	char path[128], value[512];
	va_list ap;

	snprintf(path, sizeof(path), MR_POOL "%s", name);
	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	return file_write(path, "%s", value);
}

int pool_create(const char *name, unsigned int quota, unsigned int flags)
{
	struct mpt_client how = { .quota = quota, .flags = flags };
	int err, fd = open(MPT_DEV, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bail(MPT_DEV ": %s", strerror(errno));
	snprintf(how.name, sizeof(how.name), "%s", name);
	if (!ioctl(fd, MPT_CREATE, &how))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int pool_client(const char *name, unsigned int quota, unsigned int flags)
{
	int fd = pool_create(name, quota, flags);

	if (fd < 0)
		bail("client %s: %s", name, strerror(-fd));
	return fd;
}

/* A number of the row that begins with this word, or -1. */
static long column(const char *file, const char *name, unsigned int nr)
{
	char text[4096], *line, *at;

	file_read(file, text, sizeof(text));
	for (line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		char *rest, *word = strtok_r(line, " ", &rest);

		if (!word || strcmp(word, name))
			continue;
		for (unsigned int i = 0; word && i < nr; i++)
			word = strtok_r(NULL, " ", &rest);
		return word ? atol(word) : -1;
	}
	return -1;
}

long pool_column(const char *name, enum pool_column nr)
{
	return column(MR_POOL "clients", name, nr);
}

long pool_node(int node, enum pool_node_column nr)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", node);
	return column(MR_POOL "nodes", name, nr);
}

long pool_base(void)
{
	return pool("base_pages") * sysconf(_SC_NPROCESSORS_ONLN);
}

bool pool_is_full(void)
{
	return pool("common") + pool("reserved") >= pool("target");
}

bool pool_is_at_base(void)
{
	return pool("common") == pool_base() && pool("common") + pool("reserved") == pool("target");
}

void pool_grow(int fd)
{
	for (int i = 0; i < 3; i++) {
		ioctl(fd, MPT_TAKE, 4096L);
		ioctl(fd, MPT_HAND_OVER);
		sleep_ms(20);
	}
}

bool pool_adds_up(void)
{
	return pool("refilled") == pool("common") + pool("reserved") + pool("gets") - pool("puts") + pool("freed") +
				   pool("poisoned");
}

void pool_settled(const char *name)
{
	if (!ok(WAIT_UNTIL(pool_is_at_base(), PATIENCE_MS), "%s: it is back at its base", name))
		diag("base %ld: common %ld, reserved %ld, target %ld", pool_base(), pool("common"), pool("reserved"),
		     pool("target"));
	if (!ok(WAIT_UNTIL(pool_adds_up(), PATIENCE_MS), "%s: no page is lost", name))
		diag("refilled %ld; common %ld, reserved %ld, gets %ld, puts %ld, freed %ld, poisoned %ld", pool("refilled"),
		     pool("common"), pool("reserved"), pool("gets"), pool("puts"), pool("freed"), pool("poisoned"));
	/* A page that a CPU moves while they are counted may be seen twice. */
	is_le(pool("peak"), pool("cap") + sysconf(_SC_NPROCESSORS_CONF), "%s: it never had more than its cap", name);
}
