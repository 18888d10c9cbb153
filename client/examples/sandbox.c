/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Confine yourself, then see what is left: sandbox POLICY [FILE...]
 *
 * Loads the policy, tries to open each FILE for reading and prints what came
 * of it. Exit status: 0 whatever the opens gave, 1 if the policy could not be
 * put into force, 2 for a wrong command line.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "evfilter.h"

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s POLICY [FILE...]\n", argv[0]);
		return 2;
	}
	if (evfilter_sandbox(argv[1]) < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], evfilter_error());
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);

		printf("%s: %s\n", argv[i], fd < 0 ? strerror(errno) : "opened");
		if (fd >= 0)
			close(fd);
	}
	/* On a console each line is to be out before the next program's. */
	return fflush(stdout) == 0 ? 0 : 1;
}
