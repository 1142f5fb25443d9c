// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual machine as a victim: KVM maps the process's memory a second time, for the
 * guest, and hears of each zap by its MMU notifier. The guest writes to all of its
 * memory, round after round, until its process dies.
 *
 * Emulated CPUs have svm, so kvm-amd can be loaded in the test's own VM. Each case runs
 * first without memrescue's hooks. See compare_runs() for what is checked.
 */
#include <glob.h>
#include <linux/kvm.h>

#include "lib.h"

#define GUEST_MIB	64
#define ROUNDS_AT	0x1000		/* in the guest's memory */
#define DATA_AT		0x2000
#define ROUNDS		3		/* so many say that it works */
#define LIMIT_MIB	(GUEST_MIB + 32)

/* What a case returns. */
#define ENDED		1
#define BACK		2	/* while it was stuck */
#define WORKS		4	/* another guest, afterwards */

/* 32-bit code, without paging: a word in each page is written, then the round is counted. */
static const unsigned char code[] = {
	0xbf, 0x00, 0x20, 0x00, 0x00,				/* start: mov $DATA_AT, %edi */
	0x89, 0x3f,						/* next: mov %edi, (%edi) */
	0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,			/* add $PAGE, %edi */
	0x81, 0xff, 0x00, 0x00, 0x00, GUEST_MIB >> 4 & 0x0f,	/* cmp $the end, %edi */
	0x72, 0xf0,						/* jb next */
	0xff, 0x05, 0x00, 0x10, 0x00, 0x00,			/* incl ROUNDS_AT */
	0xeb, 0xe3,						/* jmp start */
};

enum how { KILLED, STUCK, OUT_OF_MEMORY };

static struct cgroup *cg;

/* ---- the guest ---- */

struct guest {
	int vcpu;
	struct victim *v;
};

static int fd_or_bail(int fd, const char *what)
{
	if (fd < 0)
		bail("victim: %s: %s", what, strerror(errno));
	return fd;
}

/* Protected mode, with segments that cover everything. */
static void set_registers(int vcpu)
{
	struct kvm_segment data = { .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;

	fd_or_bail(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = data;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	sregs.ds = data;
	sregs.es = data;
	sregs.ss = data;
	sregs.cr0 |= 1;
	fd_or_bail(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	fd_or_bail(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

/* Only a signal ends KVM_RUN. */
static void *run_guest(void *arg)
{
	struct guest *g = arg;

	while (!ioctl(g->vcpu, KVM_RUN, 0) || errno == EINTR)
		;
	g->v->sh->failed = errno;
	return NULL;
}

static void guest(struct victim *v, void *arg)
{
	static struct guest g;
	int kvm = fd_or_bail(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	int vm = fd_or_bail(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	char *mem = mmap(NULL, GUEST_MIB * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct kvm_userspace_memory_region slot = { .memory_size = GUEST_MIB * MIB, .userspace_addr = (uintptr_t)mem };
	pthread_t thread;
	void *state;

	(void)arg;
	if (mem == MAP_FAILED)
		bail("victim: mmap: %s", strerror(errno));
	memcpy(mem, code, sizeof(code));
	fd_or_bail(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
	g = (struct guest){ .vcpu = fd_or_bail(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU"), .v = v };
	state = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, g.vcpu, 0);
	if (state == MAP_FAILED)
		bail("victim: mmap of the vCPU: %s", strerror(errno));
	set_registers(g.vcpu);
	if (pthread_create(&thread, NULL, run_guest, &g))
		bail("victim: pthread_create");
	while (*(volatile uint32_t *)(mem + ROUNDS_AT) < ROUNDS && !v->sh->failed)
		usleep(1000);
	v->sh->word[0] = *(volatile uint32_t *)(mem + ROUNDS_AT);
	for (size_t at = DATA_AT; at < GUEST_MIB * MIB; at += PAGE)
		v->sh->word[1] += *(volatile uint32_t *)(mem + at) == at;
}

static struct victim *make(enum how how)
{
	return victim_new(&(struct victim_how){
		.name = "v_guest", .cg = cg, .stuck = how == KILLED ? STUCK_NOT : STUCK_D, .setup = guest,
		.run = how == OUT_OF_MEMORY ? victim_eat : NULL });
}

/* It has written each of its pages, itself. */
static bool runs(const struct victim *v)
{
	return v->sh->word[0] >= ROUNDS && v->sh->word[1] == (long)((GUEST_MIB * MIB - DATA_AT) / PAGE) && !v->sh->failed;
}

/* ---- the cases ---- */

static bool has_ended(struct victim *v)
{
	return victim_wait_exit(v) && WIFSIGNALED(v->status) && WTERMSIG(v->status) == SIGKILL &&
	       WAIT_UNTIL(cg_empty(cg), PATIENCE_MS) && cg_wait_below(cg, 1024, PATIENCE_MS);
}

static void kill_guest(struct victim *v, enum how how)
{
	long kills = cg_key(cg, "memory.events", "oom_kill");

	if (how != OUT_OF_MEMORY) {
		victim_kill(v);
		return;
	}
	cg_limit_mib(cg, LIMIT_MIB);
	victim_go(v);
	if (!WAIT_UNTIL(cg_key(cg, "memory.events", "oom_kill") > kills, PATIENCE_MS))
		bail("no OOM kill in the victim's cgroup");
}

static bool is_back(void)
{
	return WAIT_UNTIL(cg_key(cg, "memory.stat", "anon") <= (long)(GUEST_MIB * MIB / 10), compare_patience_ms());
}

static bool works(void)
{
	struct victim *v = make(KILLED);
	bool good = runs(v);

	victim_kill(v);
	good = has_ended(v) && good;
	victim_free(v);
	return good;
}

static long one_guest(void *arg)
{
	enum how how = *(enum how *)arg;
	struct victim *v = make(how);
	long value = 0;

	if (!runs(v))
		bail("the guest does not run: %ld rounds, %ld pages, error %d", (long)v->sh->word[0], (long)v->sh->word[1],
		     v->sh->failed);
	kill_guest(v, how);
	if (how != KILLED && is_back() && mrt_held(mrt(), v->pid) > 0)
		value |= BACK;
	mrt_release(mrt());
	if (has_ended(v))
		value |= ENDED;
	victim_free(v);
	cg_set(cg, "memory.max", "max");
	return value | (works() ? WORKS : 0);
}

/* ---- KVM ---- */

/* False if this kernel has none, or not for this CPU. */
static bool load_kvm(void)
{
	glob_t files;
	int err = -ENOENT;

	if (glob("/lib/kvm/*.ko", 0, NULL, &files))
		return false;
	for (size_t i = 0; i < files.gl_pathc; i++) {
		err = load_module(files.gl_pathv[i], "");
		if (err)
			diag("%s: %s", files.gl_pathv[i], strerror(-err));
	}
	globfree(&files);
	return !err && WAIT_UNTIL(file_exists("/dev/kvm"), PATIENCE_MS);
}

int main(void)
{
	static enum how killed = KILLED, stuck = STUCK, oom = OUT_OF_MEMORY;

	if (!load_kvm())
		skip_all("the kernel has no KVM for the CPU of the test's VM");
	cg = cg_new("kvm");
	ok(mr_loaded(), "memrescue is there");
	compare_runs("a guest, killed while it runs", ENDED | WORKS, one_guest, &killed);
	compare_runs("a guest, killed while it is stuck", BACK | ENDED | WORKS, one_guest, &stuck);
	compare_runs("a guest, out of memory", BACK | ENDED | WORKS, one_guest, &oom);
	/* It is in use for as long as there is a VM. */
	is_eq(WAIT_UNTIL(!unload_module("kvm_amd"), PATIENCE_MS), true, "no VM is left of them");
	return done();
}
