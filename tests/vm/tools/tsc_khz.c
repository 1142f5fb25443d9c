// SPDX-License-Identifier: GPL-2.0
/*
 * Prints how fast this machine's time stamp counter (TSC) is, in kHz: QEMU shows
 * it to the VM as it is. Prints nothing on a machine without one.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#if __has_include("x86intrin.h")
#include <x86intrin.h>

#define TRIES		100
#define APART_US	50000

/* Both at the same time: of some tries the one that took the least. */
struct moment {
	uint64_t tsc, ns, took;
};

static struct moment look(void)
{
	struct moment best = { .took = UINT64_MAX };

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), took;
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		took = __rdtsc() - before;
		if (took < best.took)
			best = (struct moment){ before + took / 2, ts.tv_sec * 1000000000ULL + ts.tv_nsec, took };
	}
	return best;
}

int main(void)
{
	struct moment begin = look(), end;

	usleep(APART_US);
	end = look();
	printf("%.0f\n", (end.tsc - begin.tsc) * 1e6 / (end.ns - begin.ns));
	return 0;
}
#else
int main(void)
{
	return 0;
}
#endif
