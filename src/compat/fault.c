// SPDX-License-Identifier: GPL-2.0
/* Forced failures, for tests of the debug build only: see fault.h. */
#ifdef MEMRESCUE_DEBUG

#include <linux/errno.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include "compat/fault.h"

static char *fail = "";
module_param(fail, charp, 0444);
MODULE_PARM_DESC(fail, "comma-separated lookups and registrations that shall fail");

/**
 * memrescue_fault() - shall this step fail?
 * @name: the step's name, as in the tables of symbols and hooks
 *
 * Context: any.
 * Return: -ENOENT if the parameter fail= names it, else 0.
 */
int memrescue_fault(const char *name)
{
	size_t len = strlen(name);
	const char *at;

	for (at = strstr(fail, name); at; at = strstr(at + 1, name)) {
		bool begins = at == fail || at[-1] == ',';
		bool ends = !at[len] || at[len] == ',';

		if (begins && ends)
			return -ENOENT;
	}
	return 0;
}

#endif
