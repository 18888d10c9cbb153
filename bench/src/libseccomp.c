/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sets up a profile with libseccomp: evf-bench-libseccomp CALLS
 *
 * CALLS has the numbers of the calls to allow, one a line; all others get
 * EPERM. Prints how far the time stamp counter moves from seccomp_init to the
 * end of seccomp_load. The profile is built twice and only the second counts,
 * so that page faults and symbol look-ups of the first use are not the
 * library's. Exit status: 0, or 1 if anything failed or does not filter.
 *
 * libseccomp is opened at run time: its headers need not be installed where
 * this is compiled.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

/* SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM) of <seccomp.h>. */
#define ACT_ALLOW 0x7fff0000u
#define ACT_EPERM (0x00050000u | EPERM)
#define MOST_CALLS 512

typedef void *filter;

static filter (*init)(uint32_t action);
static int (*rule_add)(filter, uint32_t action, int nr, unsigned int args, ...);
static int (*load)(filter);
static void (*release)(filter);

static void *symbol(void *library, const char *name)
{
	void *address = dlsym(library, name);

	if (!address)
		fprintf(stderr, "%s\n", dlerror());
	return address;
}

static int find(void)
{
	void *library = dlopen("libseccomp.so.2", RTLD_NOW);

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 0;
	}
	init = symbol(library, "seccomp_init");
	rule_add = symbol(library, "seccomp_rule_add");
	load = symbol(library, "seccomp_load");
	release = symbol(library, "seccomp_release");
	return init && rule_add && load && release;
}

static filter build(const int *calls, int count)
{
	filter made = init(ACT_EPERM);

	for (int i = 0; made && i < count; i++) {
		int error = rule_add(made, ACT_ALLOW, calls[i], 0);

		if (error) {
			fprintf(stderr, "rule_add %d: %d\n", calls[i], error);
			return NULL;
		}
	}
	return made;
}

int main(int argc, char **argv)
{
	int calls[MOST_CALLS], count = 0;
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
	unsigned long long began, ended;
	filter made;

	if (!file) {
		fprintf(stderr, "usage: evf-bench-libseccomp CALLS\n");
		return 1;
	}
	while (count < MOST_CALLS && fscanf(file, "%d", &calls[count]) == 1)
		count++;
	fclose(file);
	if (!find() || !(made = build(calls, count)))
		return 1;
	release(made);

	began = __rdtsc();
	made = build(calls, count);
	if (!made || load(made)) {
		fprintf(stderr, "the profile could not be loaded\n");
		return 1;
	}
	ended = __rdtsc();
	release(made);

	if (syscall(SYS_personality, 0xffffffff) != -1 || errno != EPERM) {
		fprintf(stderr, "the profile does not filter\n");
		return 1;
	}
	printf("%llu\n", ended - began);
	return fflush(stdout) == 0 ? 0 : 1;
}
