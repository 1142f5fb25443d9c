// SPDX-License-Identifier: GPL-2.0
/*
 * A real D state: a victim waits for a page of a FUSE file whose daemon has
 * taken the request and is stopped. Its memory is back meanwhile. The daemon
 * speaks the kernel's protocol itself; it has one file.
 */
#include <linux/fuse.h>
#include <sys/mount.h>

#include "lib.h"

#define MNT		"/tmp/fuse"
#define FILE_INO	2
#define FILE_LEN	(64 * 1024UL)
#define VICTIM_MIB	40
#define LIMIT_MIB	56

static struct cgroup *cg;
static pid_t daemon_pid;
static _Atomic int *armed;	/* stop at the next READ */

/* ---- the daemon ---- */

static void reply(int fd, const struct fuse_in_header *in, int error, const void *body, size_t len)
{
	char buf[sizeof(struct fuse_out_header) + 64 * 1024];
	struct fuse_out_header *out = (struct fuse_out_header *)buf;

	out->len = sizeof(*out) + (error ? 0 : len);
	out->error = error;
	out->unique = in->unique;
	if (!error && len)
		memcpy(buf + sizeof(*out), body, len);
	if (write(fd, buf, out->len) < 0 && errno != ENOENT)
		diag("fuse daemon: %s", strerror(errno));
}

static struct fuse_attr attr_of(uint64_t ino)
{
	return (struct fuse_attr){
		.ino = ino,
		.size = ino == FILE_INO ? FILE_LEN : 0,
		.blocks = ino == FILE_INO ? FILE_LEN / 512 : 0,
		.mode = ino == FILE_INO ? S_IFREG | 0644 : S_IFDIR | 0755,
		.nlink = 1,
		.blksize = PAGE,
	};
}

static void do_init(int fd, const struct fuse_in_header *in, const struct fuse_init_in *arg)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = arg->minor < FUSE_KERNEL_MINOR_VERSION ? arg->minor : FUSE_KERNEL_MINOR_VERSION,
		.max_write = 64 * 1024,
	};

	reply(fd, in, 0, &out, sizeof(out));
}

static void do_read(int fd, const struct fuse_in_header *in, const struct fuse_read_in *arg)
{
	static char data[64 * 1024];
	size_t len = arg->offset < FILE_LEN ? FILE_LEN - arg->offset : 0;

	if (atomic_exchange(armed, 0))
		raise(SIGSTOP);
	if (len > arg->size)
		len = arg->size;
	memset(data, 'f', sizeof(data));
	reply(fd, in, 0, data, len < sizeof(data) ? len : sizeof(data));
}

static void serve(int fd, const struct fuse_in_header *in)
{
	const void *arg = in + 1;

	switch (in->opcode) {
	case FUSE_INIT:
		do_init(fd, in, arg);
		break;
	case FUSE_LOOKUP: {
		struct fuse_entry_out out = { .nodeid = FILE_INO, .attr = attr_of(FILE_INO), .entry_valid = 60, .attr_valid = 60 };

		reply(fd, in, strcmp(arg, "file") ? -ENOENT : 0, &out, sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = { .attr_valid = 60, .attr = attr_of(in->nodeid) };

		reply(fd, in, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out out = { 0 };

		reply(fd, in, 0, &out, sizeof(out));
		break;
	}
	case FUSE_READ:
		do_read(fd, in, arg);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;	/* these have no answer */
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(fd, in, 0, NULL, 0);
		break;
	default:
		reply(fd, in, -ENOSYS, NULL, 0);
	}
}

static void daemon_main(int fd)
{
	static char buf[FUSE_MIN_READ_BUFFER + 64 * 1024] __attribute__((aligned(8)));

	prctl(PR_SET_NAME, "fuse_daemon");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			_exit(0);
		serve(fd, (struct fuse_in_header *)buf);
	}
}

static void end_fuse(void)
{
	if (daemon_pid > 0) {
		kill(daemon_pid, SIGCONT);
		kill(daemon_pid, SIGKILL);
		waitpid(daemon_pid, NULL, 0);
	}
	umount2(MNT, MNT_DETACH);
	rmdir(MNT);
}

static void begin_fuse(void)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip_all("the kernel has no FUSE");
	armed = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mkdir(MNT, 0755);
	at_end(END_VICTIMS, end_fuse);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	if (mount("memrescue-test", MNT, "fuse", MS_NOSUID | MS_NODEV, options))
		bail("mount: %s", strerror(errno));
	daemon_pid = fork();
	if (!daemon_pid)
		daemon_main(fd);
	close(fd);
}

/* ---- the victim ---- */

static void *fault_thread(void *arg)
{
	return (void *)(uintptr_t)*(volatile char *)arg;
}

/* Private mapping without read-ahead: the fault itself sends the request. */
static void map_file(struct victim *v, void *arg)
{
	int fd = open(MNT "/file", O_RDWR);
	char *p = fd < 0 ? MAP_FAILED : mmap(NULL, FILE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	pthread_t thread;

	(void)v;
	(void)arg;
	if (p == MAP_FAILED)
		bail("victim: " MNT "/file: %s", strerror(errno));
	madvise(p, FILE_LEN, MADV_RANDOM);
	if (*(volatile char *)p != 'f')
		bail("victim: the file is not as the daemon made it");
	*armed = 1;
	if (pthread_create(&thread, NULL, fault_thread, p + 8 * PAGE))
		bail("victim: pthread_create");
}

static bool daemon_stopped(void)
{
	char path[64], text[512];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", daemon_pid);
	file_read(path, text, sizeof(text));
	state = strrchr(text, ')');
	return state && state[2] == 'T';
}

static bool thread_in_d_state(pid_t pid)
{
	for (pid_t tid = pid; tid < pid + 64; tid++) {
		char path[64], text[512];
		const char *state;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
		if (file_read(path, text, sizeof(text)) <= 0)
			continue;
		state = strrchr(text, ')');
		if (state && state[2] == 'D')
			return true;
	}
	return false;
}

/*
 * A thread that is in D state after SIGKILL cannot be anything but the fault. It
 * gets there by way of a killable sleep, which the SIGKILL ends.
 */
static bool in_d_state(pid_t pid)
{
	return WAIT_UNTIL(thread_in_d_state(pid), PATIENCE_MS);
}

static void fuse_victim(const char *name, bool oom)
{
	struct mr_stats before = mr_stats();
	struct victim *v, *eater = NULL;
	struct reaped r;

	log_mark();
	v = victim_new(&(struct victim_how){ .name = "v_fuse", .cg = cg, .mib = VICTIM_MIB, .run = map_file });
	victim_go(v);
	ok(WAIT_UNTIL(daemon_stopped(), PATIENCE_MS), "%s: the daemon has the request and is stopped", name);
	if (oom) {
		cg_limit_mib(cg, LIMIT_MIB);
		eater = victim_new(&(struct victim_how){ .name = "v_trigger", .cg = cg, .mib = 1, .run = victim_eat });
		victim_go(eater);
		WAIT_UNTIL(log_find("Killed process %d ", v->pid), PATIENCE_MS);
	} else {
		victim_kill(v);
		ok(memory_back(v) && in_d_state(v->pid), "%s: memory is back while the victim is in D state", name);
	}
	ok(WAIT_UNTIL(log_find("memrescue: reaped pid=%d ", v->pid), PATIENCE_MS) && log_reaped(v->pid, &r) &&
	   in_d_state(v->pid) && daemon_stopped(), "%s: reaped while the victim is in D state", name);
	ok(r.freed_kb >= VICTIM_MIB * KIB_PER_MIB * 9 / 10, "%s: all of it", name);
	is_ge(mr_stats().reaped, before.reaped + 1, "%s: it is counted", name);
	is_eq(mr_stats().delayed, before.delayed, "%s: at once, not after the time for robust futexes", name);
	kill(daemon_pid, SIGCONT);
	if (eater)
		victim_free(eater);
	check_gone(v, name);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
}

int main(void)
{
	begin_fuse();
	cg = cg_new("fuse");
	ok(mr_loaded(), "memrescue is there");
	fuse_victim("stopped FUSE daemon, kill -9", false);
	fuse_victim("stopped FUSE daemon, OOM", true);
	return done();
}
