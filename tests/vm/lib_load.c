// SPDX-License-Identifier: GPL-2.0
/* VM tests: loading and unloading memrescue. See load.h. */
#include <dirent.h>

#include "load.h"

static void unload_at_end(void)
{
	if (module_loaded("memrescue") && mr_unload())
		diag("memrescue cannot be unloaded");
}

int mr_load(const char *ko, const char *params)
{
	at_end(END_FILES, unload_at_end);
	return load_module(ko, params);
}

int mr_unload(void)
{
	return unload_module("memrescue");
}

int mr_reload(void)
{
	int err = mr_unload();

	return err ? err : load_module(MEMRESCUE_KO, "");
}

void mr_load_fresh(const char *ko, const char *params)
{
	int err;

	if (module_loaded("memrescue")) {
		err = mr_unload();
		if (err)
			bail("rmmod memrescue: %s", strerror(-err));
	}
	err = mr_load(ko, params);
	if (err)
		bail("insmod %s %s: %s", ko, params, strerror(-err));
}

/* Shows what there is, and counts it. */
static int shown(const char *what, const char *detail)
{
	diag("there is %s%s", what, detail);
	return 1;
}

static int modules_line(void)
{
	char line[512];
	int n = 0;
	FILE *f = fopen("/proc/modules", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "memrescue ", 10))
			n += shown("a line in /proc/modules: ", line);
	if (f)
		fclose(f);
	return n;
}

/* No test uses kprobes while it looks for memrescue's. */
static int kprobes(void)
{
	char line[512];
	int n = 0;
	FILE *f = fopen(DEBUGFS "kprobes/list", "re");

	while (f && fgets(line, sizeof(line), f))
		n += shown("a kprobe: ", line);
	if (f)
		fclose(f);
	return n;
}

/* A workqueue's rescuer has its name: whole, or after kworker/R-, and cut. */
static int rescuers(void)
{
	char path[64], comm[64];
	struct dirent *d;
	int n = 0;
	DIR *dir = opendir("/proc");

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/comm", d->d_name);
		if (file_read(path, comm, sizeof(comm)) <= 0)
			continue;
		if (!strncmp(comm, "memrescue", 9) || !strncmp(comm, "kworker/R-memre", 15))
			n += shown("a workqueue's thread: ", comm);
	}
	if (dir)
		closedir(dir);
	return n;
}

int mr_traces(void)
{
	static const char *const files[] = {
		"/sys/module/memrescue", "/sys/class/misc/memrescue", "/dev/memrescue", TRACEFS "events/memrescue",
	};
	int n = modules_line() + kprobes() + rescuers();

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (file_exists(files[i]))
			n += shown(files[i], "");
	return n;
}

static bool kernel_has_symbol(const char *name)
{
	char line[512], found[256];
	bool has = false;
	FILE *f = fopen("/proc/kallsyms", "re");

	while (f && !has && fgets(line, sizeof(line), f))
		has = sscanf(line, "%*s %*s %255s", found) == 1 && !strcmp(found, name);
	if (f)
		fclose(f);
	return has;
}

bool kernel_exports(const char *name)
{
	char symbol[256];

	snprintf(symbol, sizeof(symbol), "__ksymtab_%s", name);
	return kernel_has_symbol(symbol);
}
