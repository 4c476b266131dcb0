/*
 * test/preload/fail_alloc.c
 *
 * A library to preload: allocation number OUTBOX_FAIL_ALLOC finds no memory,
 * with OUTBOX_FAIL_EVER=1 all after it neither.  Counted is from the program's
 * main on, what the libraries do before it is their own.  How many there were
 * is written to the file OUTBOX_ALLOC_COUNT at the end.  Who found no memory,
 * and who crashed, is told on standard error, innermost call first.
 *
 * Linked into a program: fail_alloc.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "fail_alloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX 40

extern int __libc_start_main(int (*main)(int, char **, char **), int argc,
							 char **argv, void (*init)(void),
							 void (*fini)(void), void (*end)(void),
							 void *stack);
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

typedef int (*Main)(int argc, char **argv, char **env);
typedef int (*Start)(Main main, int argc, char **argv, void (*init)(void),
					 void (*fini)(void), void (*end)(void), void *stack);

static atomic_long count;
static long chosen; /* 0: none */
static bool ever;

static void
tell(const char *what)
{
	void *frames[FRAMES_MAX];
	int n = backtrace(frames, FRAMES_MAX);

	if (write(STDERR_FILENO, what, strlen(what)) > 0)
		backtrace_symbols_fd(frames, n, STDERR_FILENO);
}

/* By SA_RESETHAND the process dies of the signal after it. */
static void
take_signal(int signo)
{
	(void) signo;
	chosen = 0;
	tell("fail_alloc: crashed in\n");
}

void
fail_alloc(long number, bool and_after)
{
	ever = and_after;
	chosen = number;
	atomic_store(&count, 0);
}

bool
fail_alloc_came(void)
{
	return atomic_load(&count) >= chosen;
}

/* What calls main; the libraries are ready by then. */
int
__libc_start_main(Main main, int argc, char **argv, void (*init)(void),
				  void (*fini)(void), void (*end)(void), void *stack)
{
	static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
	Start start = (Start) dlsym(RTLD_NEXT, "__libc_start_main");
	const struct sigaction action = {.sa_handler = take_signal,
									 .sa_flags = (int) SA_RESETHAND};
	const char *number = getenv("OUTBOX_FAIL_ALLOC");
	const char *word = getenv("OUTBOX_FAIL_EVER");
	void *frame;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	backtrace(&frame, 1); /* the first one allocates */
	fail_alloc(number != NULL ? atol(number) : 0,
			   word != NULL && word[0] == '1');
	return start(main, argc, argv, init, fini, end, stack);
}

static bool
fails(void)
{
	long number = atomic_fetch_add(&count, 1) + 1;

	if (chosen == 0 || number < chosen || (number > chosen && !ever))
		return false;
	if (number == chosen)
		tell("fail_alloc: no memory for\n");
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

void *
memalign(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int
posix_memalign(void **memory, size_t alignment, size_t size)
{
	void *block = memalign(alignment, size);

	if (block == NULL)
		return ENOMEM;
	*memory = block;
	return 0;
}

__attribute__((destructor)) static void
write_count(void)
{
	const char *path = getenv("OUTBOX_ALLOC_COUNT");
	char text[24];
	int len = snprintf(text, sizeof(text), "%ld\n", (long) count);
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, (size_t) len) != len)
		_exit(99);
	close(fd);
}
