// SPDX-License-Identifier: GPL-2.0
/*
 * memrescue: the order in which its parts start and stop, and a line in the log.
 *
 * Context: module load and unload.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>
#include "compat/ksym.h"
#include "control/control.h"
#include "hook/hook.h"
#include "pool/pool.h"
#include "pool/rescue.h"
#include "reaper/reaper.h"

static unsigned int records = 1024;
module_param(records, uint, 0444);
MODULE_PARM_DESC(records, "victims at once (16 to 4096, default 1024)");

static unsigned int pool_max_pages;
module_param(pool_max_pages, uint, 0444);
MODULE_PARM_DESC(pool_max_pages, "room in the page pool, pages (default 0: 2 % of memory, at most 16384)");

/* What is missing was said before, by the part that misses it. */
static void __init report(void)
{
	struct memrescue_pool_now pool;
	unsigned int active, wanted, found, known;
	char rescue[128];

	memrescue_hook_count(&active, &wanted);
	memrescue_ksym_count(&found, &known);
	memrescue_pool_now(&pool);
	memrescue_hook_rescue_state(rescue, sizeof(rescue));
	pr_info("loaded version=%s hooks=%u/%u symbols=%u/%u pool_kb=%lu rescue=%.*s\n",
		MEMRESCUE_VERSION, active, wanted, found, known,
		pool.target << (PAGE_SHIFT - 10),
		(int)strcspn(rescue, "\n"), rescue);
}

static int __init memrescue_init(void)
{
	int err;

	err = memrescue_ksym_init();
	if (err)
		return err;
	err = memrescue_pool_init(pool_max_pages);
	if (err)
		return err;
	err = memrescue_rescue_init();
	if (err)
		goto err_exit_pool;
	err = memrescue_reaper_init(records, memrescue_pool_kick_waiting);
	if (err)
		goto err_exit_rescue;
	memrescue_hook_init(&memrescue_reaper_sink, &memrescue_rescue_sink);
	err = memrescue_control_enable(true);
	if (err)
		goto err_exit_reaper;
	memrescue_control_rescue_start();
	err = memrescue_control_init();
	if (err)
		goto err_disable;
	report();
	return 0;

err_disable:
	memrescue_control_rescue_stop();
	memrescue_control_enable(false);
err_exit_reaper:
	memrescue_reaper_exit();
err_exit_rescue:
	memrescue_rescue_exit();
err_exit_pool:
	memrescue_pool_exit();
	return err;
}

static void __exit memrescue_exit(void)
{
	memrescue_control_exit();
	memrescue_control_rescue_stop();
	memrescue_control_enable(false);
	memrescue_reaper_exit();
	memrescue_rescue_exit();
	memrescue_pool_exit();
}

module_init(memrescue_init);
module_exit(memrescue_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Gives back the memory of killed processes at once");
MODULE_AUTHOR("The memrescue developers");
MODULE_VERSION(MEMRESCUE_VERSION);
