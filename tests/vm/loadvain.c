// SPDX-License-Identifier: GPL-2.0
/*
 * Loading memrescue in vain: each thing that it registers or allocates for itself is made to fail (parameter fail= of the
 * debug build), its parameters are wrong, or it is there already. The load fails, says why, and leaves nothing.
 */
#include "load.h"

/* What memrescue itself registers or allocates: the load fails with that error and that message. */
static const struct own {
	const char *fail, *log;
	int err;
} own[] = {
	{ "mark_victim,queue_oom_reaper,signal_generate,do_exit", "no hook could be attached", -ENOENT },
	{ "misc_register", "the device cannot be registered (-2)", -ENOENT },
	{ "records", "no memory for 1024 records", -ENOMEM },
	{ "pool", "the page pool cannot be set up (-12)", -ENOMEM },
	{ "shrinker", "the page pool cannot be set up (-2)", -ENOENT },
	{ "cpuhp", "the page pool cannot be set up (-2)", -ENOENT },
	{ "cpuhp-online", "the page pool cannot be set up (-2)", -ENOENT },
	{ "workqueue", "the workqueues cannot be made", -ENOMEM },
	{ "workqueue-late", "the workqueues cannot be made", -ENOMEM },
};

static void check_nothing_left(const struct own *o)
{
	char params[512];

	snprintf(params, sizeof(params), "fail=%s", o->fail);
	log_mark();
	is_eq(mr_load(MEMRESCUE_DEBUG_KO, params), o->err, "without %s: the load fails", o->fail);
	ok(log_find("memrescue: %s", o->log), "without %s: the log says so", o->fail);
	is_eq(mr_traces(), 0, "without %s: nothing is left of it", o->fail);
}

/* ---- parameters ---- */

static void check_records(void)
{
	static const char *const bad[] = { "0", "15", "65537", "4294967295", "-1", "1024x", "" };
	static const char *const good[] = { "16", "4096" };
	char params[64];
	long wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(params, sizeof(params), "records=%s", bad[i]);
		if (mr_load(MEMRESCUE_KO, params) != -EINVAL || mr_traces()) {
			diag("%s", params);
			wrong++;
		}
	}
	is_eq(wrong, 0, "records: EINVAL for what is out of range or no number, and nothing is left");
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(params, sizeof(params), "records=%s", good[i]);
		wrong += mr_load(MEMRESCUE_KO, params) ||
			 file_long("/sys/module/memrescue/parameters/records", -1) != atol(good[i]) || mr_unload();
	}
	is_eq(wrong, 0, "records: the smallest and the largest number are taken");
}

static void check_twice(void)
{
	is_eq(mr_load(MEMRESCUE_KO, ""), 0, "twice: the first load");
	is_eq(mr_load(MEMRESCUE_KO, ""), -EEXIST, "twice: the second one fails");
	is_eq(mr_load(MEMRESCUE_DEBUG_KO, ""), -EEXIST, "twice: so does that of the debug build");
	is_eq(mr_stat("enabled"), 1, "twice: the first one is still there");
	is_eq(mr_unload(), 0, "twice: and can be unloaded");
	is_eq(mr_traces(), 0, "twice: nothing is left");
}

int main(void)
{
	if (module_loaded("memrescue") && mr_unload())
		bail("memrescue cannot be unloaded");
	if (!file_exists(MEMRESCUE_DEBUG_KO))
		bail("there is no " MEMRESCUE_DEBUG_KO);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		check_nothing_left(&own[i]);
	check_records();
	check_twice();
	return done();
}
