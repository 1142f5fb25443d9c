// SPDX-License-Identifier: GPL-2.0
/*
 * What is under way when a process is killed: reads from a slow block device straight
 * into its memory (O_DIRECT), which must not hit a page that has come to belong to
 * another process; and its write(2), of which readers get what it wrote, or less.
 *
 * Each first without memrescue's hooks. See compare_runs() for what is checked.
 */
#define _GNU_SOURCE
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "lib.h"

static struct cgroup *cg, *other_cg;

/* ---- reads ---- */

#define DEV		"/dev/zram0"
#define DEV_BYTE	0xdd
#define VICTIM_MIB	40
#define READS		6
#define READ_SIZE	MIB
#define READ_RATE	"1500000"	/* bytes/s: seconds for all of them */

/* What they return. */
#define ENDED		1
#define BACK		2	/* all other memory, while they were under way */
#define INTACT		4	/* what another process has in the memory that has come back */

enum engine { AIO, URING, URING_FIXED };

struct reads {
	enum engine engine;
	bool stuck;
};

/* Filled at full speed, by the test itself; then slow for the victim's cgroup. */
static bool slow_device(void)
{
	char *block;
	struct stat st;
	int fd;

	if (!file_exists("/sys/block/zram0/disksize"))
		return false;
	file_write("/sys/block/zram0/reset", "1");
	if (file_write("/sys/block/zram0/disksize", "%dM", READS))
		return false;
	fd = open(DEV, O_RDWR | O_DIRECT | O_CLOEXEC);
	block = aligned_alloc(PAGE, READ_SIZE);
	if (fd < 0 || !block)
		bail(DEV ": %s", strerror(errno));
	memset(block, DEV_BYTE, READ_SIZE);
	for (int i = 0; i < READS; i++)
		if (pwrite(fd, block, READ_SIZE, i * READ_SIZE) != (ssize_t)READ_SIZE)
			bail(DEV ": %s", strerror(errno));
	fstat(fd, &st);
	free(block);
	close(fd);
	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+io");
	return !cg_set(cg, "io.max", "%u:%u rbps=" READ_RATE, major(st.st_rdev), minor(st.st_rdev));
}

/* Sectors that have been read from it. */
static long sectors_read(void)
{
	char text[256];
	long sectors = -1;

	if (file_read("/sys/block/zram0/stat", text, sizeof(text)) > 0)
		sscanf(text, "%*d %*d %ld", &sectors);
	return sectors;
}

static void submit_aio(int fd, char *mem)
{
	static struct iocb cbs[READS], *list[READS];
	aio_context_t context = 0;

	for (int i = 0; i < READS; i++) {
		cbs[i] = (struct iocb){
			.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd, .aio_buf = (uintptr_t)mem + i * READ_SIZE,
			.aio_nbytes = READ_SIZE, .aio_offset = i * READ_SIZE };
		list[i] = &cbs[i];
	}
	if (syscall(SYS_io_setup, READS, &context) || syscall(SYS_io_submit, context, READS, list) != READS)
		bail("victim: io_submit: %s", strerror(errno));
}

static void submit_uring(int fd, char *mem, bool fixed)
{
	static struct iovec iovs[READS];
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct io_uring_params p = { 0 };
	struct io_uring_sqe *sqes;
	uint32_t *array;
	int ring;
	char *sq;

	setrlimit(RLIMIT_MEMLOCK, &all);
	ring = (int)syscall(SYS_io_uring_setup, READS, &p);
	if (ring < 0)
		bail("victim: io_uring_setup: %s", strerror(errno));
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || sqes == MAP_FAILED)
		bail("victim: io_uring: %s", strerror(errno));
	array = (uint32_t *)(sq + p.sq_off.array);
	for (int i = 0; i < READS; i++) {
		iovs[i] = (struct iovec){ mem + i * READ_SIZE, READ_SIZE };
		sqes[i] = (struct io_uring_sqe){
			.opcode = fixed ? IORING_OP_READ_FIXED : IORING_OP_READV, .fd = fd, .off = i * READ_SIZE,
			.addr = fixed ? (uintptr_t)iovs[i].iov_base : (uintptr_t)&iovs[i], .len = fixed ? READ_SIZE : 1,
			.buf_index = fixed ? i : 0 };
		array[i] = i;
	}
	if (fixed && syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, iovs, READS))
		bail("victim: IORING_REGISTER_BUFFERS: %s", strerror(errno));
	*(volatile uint32_t *)(sq + p.sq_off.tail) = READS;
	if (syscall(SYS_io_uring_enter, ring, READS, 0, 0, NULL, 0) != READS)
		bail("victim: io_uring_enter: %s", strerror(errno));
}

/* Its cgroup is that of the slow device by now. */
static void start_reads(struct victim *v, void *arg)
{
	const struct reads *r = arg;
	int fd = open(DEV, O_RDONLY | O_DIRECT | O_CLOEXEC);
	char *mem = mmap(NULL, READS * READ_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)v;
	if (fd < 0 || mem == MAP_FAILED)
		bail("victim: " DEV ": %s", strerror(errno));
	pattern_fill(mem, READS * READ_SIZE, PATTERN_KEY);
	if (r->engine == AIO)
		submit_aio(fd, mem);
	else
		submit_uring(fd, mem, r->engine == URING_FIXED);
}

/* Is its memory as it was? */
static void look_again(struct victim *v, void *arg)
{
	(void)arg;
	v->sh->word[0] = pattern_bad(v->sh->mem, v->how.mib * MIB, PATTERN_KEY) ? -1 : INTACT;
}

static long reads(void *arg)
{
	struct reads *r = arg;
	long before, value = 0;
	struct victim *v, *next;

	if (!slow_device())
		return COMPARE_SKIP;
	before = sectors_read();
	v = victim_new(&(struct victim_how){
		.name = "v_reads", .cg = cg, .mib = VICTIM_MIB, .stuck = r->stuck ? STUCK_D : STUCK_NOT, .setup = start_reads,
		.arg = r });
	victim_kill(v);
	if (r->stuck && WAIT_UNTIL(cg_key(cg, "memory.stat", "anon") <= (long)(VICTIM_MIB * MIB / 10), compare_patience_ms()) &&
	    mrt_held(mrt(), v->pid) > 0 && sectors_read() - before < (long)(READS * READ_SIZE / 512))
		value |= BACK;
	/* It gets what has come back; the reads go on. */
	next = victim_new(&(struct victim_how){ .name = "v_next", .cg = other_cg, .mib = VICTIM_MIB, .run = look_again });
	mrt_release(mrt());
	if (victim_wait_exit(v) && WIFSIGNALED(v->status) && cg_wait_below(cg, 1024, PATIENCE_MS))
		value |= ENDED;
	victim_go(next);
	if (WAIT_UNTIL(next->sh->word[0], PATIENCE_MS) && next->sh->word[0] == INTACT)
		value |= INTACT;
	victim_free(v);
	victim_free(next);
	cg_wait_below(other_cg, 1024, PATIENCE_MS);
	file_write("/sys/block/zram0/reset", "1");
	return value;
}

/* ---- writes ---- */

#define WRITER_MIB	40
#define CHUNK		(2 * MIB)
#define PIECE		(64 * 1024)
#define ROUNDS		(machine_slowness() > 1 ? 3 : 12)
#define WRITES_MIB	8	/* that have come before it is killed, at least */

enum sink { PIPE, SOCKET, TMPFS };

static enum sink sink;
static int sink_fds[2];

static uint64_t word_at(size_t offset)
{
	return PATTERN_KEY ^ (offset % (WRITER_MIB * MIB));
}

static void *write_all(void *arg)
{
	char *mem = arg;

	for (size_t at = 0;;) {
		ssize_t n = write(sink_fds[1], mem + at % (WRITER_MIB * MIB), CHUNK - at % CHUNK);

		if (n <= 0)
			return NULL;
		at += n;
	}
}

/* Another thread is stuck, so the memory stays when this one is gone. */
static void writer(struct victim *v, void *arg)
{
	size_t len = WRITER_MIB * MIB;
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	(void)v;
	(void)arg;
	if (mem == MAP_FAILED)
		bail("victim: mmap: %s", strerror(errno));
	for (size_t at = 0; at < len; at += 8)
		*(uint64_t *)(mem + at) = word_at(at);
	close(sink_fds[0]);
	if (pthread_create(&thread, NULL, write_all, mem))
		bail("victim: pthread_create");
}

/* Reads on, at most so much; returns where it has come to, or -1 when something is wrong. */
static long read_on(size_t from, size_t most)
{
	static char piece[PIECE];
	static size_t had;	/* of the word that is not whole yet */
	size_t at = from;
	ssize_t n;

	if (!from)
		had = 0;
	while (at - from < most && (n = read(sink_fds[0], piece + had, sizeof(piece) - had)) > 0) {
		size_t whole = (had + n) / 8;

		for (size_t i = 0; i < whole; i++)
			if (((uint64_t *)piece)[i] != word_at(at - had + i * 8))
				return -1;
		at += n;
		memmove(piece, piece + whole * 8, had + n - whole * 8);
		had = had + n - whole * 8;
	}
	return at;
}

static bool open_sink(void)
{
	if (sink == PIPE)
		return !pipe2(sink_fds, O_CLOEXEC);
	if (sink == SOCKET)
		return !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sink_fds);
	sink_fds[1] = open("/tmp/sink", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	sink_fds[0] = open("/tmp/sink", O_RDONLY | O_CLOEXEC);
	return sink_fds[0] >= 0 && sink_fds[1] >= 0;
}

static void end_sink(void)
{
	close(sink_fds[0]);
	if (sink == TMPFS)
		unlink("/tmp/sink");
}

/* Of a file only after the end: it does not make the writer wait. */
static long before_the_kill(void)
{
	struct stat st = { 0 };

	if (sink != TMPFS)
		return read_on(0, WRITES_MIB * MIB);
	WAIT_UNTIL(!fstat(sink_fds[0], &st) && st.st_size >= (off_t)(WRITES_MIB * MIB), PATIENCE_MS);
	return 0;
}

static bool one_write(bool oom)
{
	long kills = cg_key(cg, "memory.events", "oom_kill"), at;
	struct victim *v;
	bool good;

	v = victim_new(&(struct victim_how){
		.name = "v_writer", .cg = cg, .mib = 4, .stuck = STUCK_D, .setup = writer, .run = oom ? victim_eat : NULL });
	close(sink_fds[1]);
	at = before_the_kill();
	if (oom) {
		cg_limit_mib(cg, cg_kib(cg) / KIB_PER_MIB + 8);
		victim_go(v);
		WAIT_UNTIL(cg_key(cg, "memory.events", "oom_kill") > kills, PATIENCE_MS);
	} else {
		victim_kill(v);
	}
	if (!compare_is_stock())
		WAIT_UNTIL(cg_key(cg, "memory.stat", "anon") <= (long)(WRITER_MIB * MIB / 10), PATIENCE_MS);
	mrt_release(mrt());
	at = at < 0 ? at : read_on(at, 1UL << 40);
	good = victim_wait_exit(v) && at >= (long)(WRITES_MIB * MIB);
	if (!good)
		diag("read as far as %ld", at);
	victim_free(v);
	cg_set(cg, "memory.max", "max");
	cg_wait_below(cg, 1024 + (sink == TMPFS ? 1 << 20 : 0), PATIENCE_MS);
	return good;
}

/* In how many rounds the reader has got a part of what was written, from its beginning. */
static long writes(void *arg)
{
	bool oom = *(bool *)arg;
	long good = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (!open_sink())
			return COMPARE_SKIP;
		good += one_write(oom);
		end_sink();
	}
	return good;
}

static void all_writes(enum sink to, const char *name)
{
	static bool killed = false, oom = true;
	char text[96];

	sink = to;
	snprintf(text, sizeof(text), "write(2) to a %s, kill -9", name);
	compare_runs(text, ROUNDS, writes, &killed);
	if (to == TMPFS)
		return;	/* its memory is its writer's */
	snprintf(text, sizeof(text), "write(2) to a %s, OOM", name);
	compare_runs(text, ROUNDS, writes, &oom);
}

static void all_reads(const char *name, enum engine engine)
{
	/* Alone an exit waits for them, or leaves them to the kernel, as it does on the stock kernel. */
	struct reads stuck = { engine, true }, alone = { engine, false };
	char text[96];

	snprintf(text, sizeof(text), "%s, and a stuck thread", name);
	compare_runs(text, ENDED | BACK | INTACT, reads, &stuck);
	snprintf(text, sizeof(text), "%s", name);
	compare_runs(text, ENDED | INTACT, reads, &alone);
}

int main(void)
{
	log_expect(ALLOCATION_FAILURE_OF_VICTIM);
	cg = cg_new("underway");
	other_cg = cg_new("other");
	ok(mr_loaded(), "memrescue is there");
	all_reads("reads by io_submit()", AIO);
	all_reads("reads by io_uring", URING);
	all_reads("reads by io_uring into registered buffers", URING_FIXED);
	all_writes(PIPE, "pipe");
	all_writes(SOCKET, "socket");
	all_writes(TMPFS, "file");
	return done();
}
