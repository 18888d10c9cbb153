/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A worker that computes and can do nothing else: it reads a job on standard
 * input, answers on standard output, and makes no other system call. Whoever
 * sells the time of an idle machine can let a stranger's code run like this.
 *
 * The job is numbers, one a line; the answer is the prime factors of each:
 *
 *	$ printf '84\n97\n' | worker
 *	84: 2 2 3 7
 *	97: 97
 *
 * Two programs are made of this file.
 *
 * Freestanding, it is under strict mode from its first instruction on. There
 * is no C library, whose start-up code would make other calls:
 *
 *	cc -O2 -static -nostdlib -ffreestanding -fno-stack-protector \
 *		-o worker worker.c
 *	evf run --strict -- ./worker < job > answer
 *
 * Hosted, it is an ordinary program that makes itself strict once it is set
 * up (link with libevfilter.a). It leaves by exit_group at once, because what
 * a C library does on the way out would kill it.
 *
 * Exit status: 0, or 1 if reading, writing or becoming strict failed.
 */
#if __STDC_HOSTED__
#include <stdio.h>

#include "evfilter.h"
#endif

enum { READ = 0, WRITE = 1, EXIT_GROUP = 231, INTERRUPTED = -4 };

/* One system call of the native entry. */
static long call(long number, long a, const void *b, unsigned long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static _Noreturn void leave(int status)
{
	for (;;)
		call(EXIT_GROUP, status, 0, 0);
}

static char answer[4096];
static unsigned long answered;

static void flush(void)
{
	unsigned long written = 0;

	while (written < answered) {
		long some = call(WRITE, 1, answer + written, answered - written);

		if (some == INTERRUPTED)
			continue;
		if (some <= 0)
			leave(1);
		written += some;
	}
	answered = 0;
}

static void put(char c)
{
	if (answered == sizeof(answer))
		flush();
	answer[answered++] = c;
}

static void put_text(const char *text)
{
	while (*text)
		put(*text++);
}

static void put_number(unsigned long number)
{
	if (number >= 10)
		put_number(number / 10);
	put('0' + number % 10);
}

static void put_factor(unsigned long factor)
{
	put(' ');
	put_number(factor);
}

/* By division: the largest primes of 64 bits take seconds. */
static void factorise(unsigned long number)
{
	unsigned long rest = number;

	put_number(number);
	put(':');
	if (rest < 2)
		put_factor(rest);
	for (; rest && rest % 2 == 0; rest /= 2)
		put_factor(2);
	for (unsigned long factor = 3; factor <= rest / factor; factor += 2)
		for (; rest % factor == 0; rest /= factor)
			put_factor(factor);
	if (rest > 1)
		put_factor(rest);
	put('\n');
}

/* What has been read of the line. */
struct line {
	unsigned long number;
	int digits;
	int bad;
};

static void finish(struct line *line)
{
	if (line->bad)
		put_text("not a number below 2^64\n");
	else if (line->digits)
		factorise(line->number);
	line->number = 0;
	line->digits = 0;
	line->bad = 0;
}

static void take(struct line *line, char c)
{
	unsigned long digit = (unsigned char)c - '0';

	if (c == '\n') {
		finish(line);
	} else if (digit > 9 || line->number > (-1ul - digit) / 10) {
		line->bad = 1;
	} else {
		line->number = line->number * 10 + digit;
		line->digits++;
	}
}

static int work(void)
{
	static char job[4096];
	struct line line = { 0, 0, 0 };

	for (;;) {
		long length = call(READ, 0, job, sizeof(job));

		if (length == INTERRUPTED)
			continue;
		if (length < 0)
			return 1;
		if (length == 0)
			break;
		for (long at = 0; at < length; at++)
			take(&line, job[at]);
		flush();
	}
	finish(&line);
	flush();
	return 0;
}

#if __STDC_HOSTED__

int main(int argc, char **argv)
{
	if (evfilter_set_no_new_privs() < 0 || evfilter_restrict_strict(0) < 0) {
		fprintf(stderr, "%s: %s\n", argc > 0 ? argv[0] : "worker",
			evfilter_error());
		return 1;
	}
	leave(work());
}

#else

/* The kernel starts here, with nothing set up but a stack. */
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %rsp\n"
	"	call start\n");

__attribute__((used)) static _Noreturn void start(void)
{
	leave(work());
}

#endif
