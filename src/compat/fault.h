/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Forced failures, for tests of the debug build only.
 *
 * With MEMRESCUE_DEBUG the module has the parameter fail=, a comma-separated
 * list of the lookups and registrations that shall fail.
 *
 * Context: any.
 */
#ifndef MEMRESCUE_COMPAT_FAULT_H
#define MEMRESCUE_COMPAT_FAULT_H

#ifdef MEMRESCUE_DEBUG
int memrescue_fault(const char *name);
#else
static inline int memrescue_fault(const char *name)
{
	return 0;
}
#endif

#endif
