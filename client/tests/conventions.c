/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Each function of evfilter.h, called with good and bad arguments: -1, errno
 * and a message, and never a crash. Run in a directory with good.evf and
 * bad.evf; whether the module is there does not matter.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "evfilter.h"

static int failures;

static void expect(int line, int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "line %d: %s (errno %d, \"%s\")\n", line, what, errno,
		evfilter_error());
	failures++;
}

#define EXPECT(condition) expect(__LINE__, (condition), #condition)

/* The call fails with this errno and a message that contains this text. */
#define FAILS(call, error, text)					\
	do {								\
		errno = 0;						\
		EXPECT((call) == -1);					\
		EXPECT(errno == (error));				\
		EXPECT(strstr(evfilter_error(), (text)) != NULL);	\
	} while (0)

static void *other_thread(void *nothing)
{
	EXPECT(strcmp(evfilter_error(), "") == 0);
	return nothing;
}

int main(void)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_filter half_word[] = { BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0) };
	/* evfilter has it, classic BPF has not. */
	struct sock_filter extension[] = { { 0x0101, 0, 0, 0 }, allow[0] };
	void *image = NULL;
	size_t size = 0;
	struct evfilter_info info;
	pthread_t thread;
	int control;

	EXPECT(strcmp(evfilter_error(), "") == 0);

	EXPECT(evfilter_compile_file("good.evf", &image, &size) == 0);
	EXPECT(size > 16 && image != NULL && memcmp(image, "EVF1", 4) == 0);
	FAILS(evfilter_compile_file("bad.evf", &image, &size), EINVAL, "[bad.evf:1:");
	FAILS(evfilter_compile_file("none.evf", &image, &size), ENOENT, "none.evf");
	FAILS(evfilter_compile_file(NULL, &image, &size), EFAULT, "null");
	FAILS(evfilter_compile_file("good.evf", NULL, &size), EFAULT, "null");
	FAILS(evfilter_compile_file("good.evf", &image, NULL), EFAULT, "null");

	FAILS(evfilter_load_file(NULL), EFAULT, "null");
	FAILS(evfilter_load_file("none.evf"), ENOENT, "none.evf");
	FAILS(evfilter_load_text(NULL), EFAULT, "null");
	FAILS(evfilter_load_text("on vfs.getname { default"), EINVAL, "<policy>");
	FAILS(evfilter_load_text("\xff"), EILSEQ, "UTF-8");
	FAILS(evfilter_load_image(NULL, 16), EFAULT, "null");
	FAILS(evfilter_load_image("", 0), ENOEXEC, "length");
	FAILS(evfilter_load_image("0123456789abcdef", 16), ENOEXEC, "not a policy image");
	FAILS(evfilter_load_image(image, size - 4), ENOEXEC, "length");
	FAILS(evfilter_load_image(image, (size_t)-1), EMSGSIZE, "too large");
	FAILS(evfilter_load_bpf(NULL), EFAULT, "null");
	FAILS(evfilter_load_bpf(&(struct sock_fprog){ 1, NULL }), EFAULT, "null");
	FAILS(evfilter_load_bpf(&(struct sock_fprog){ 0, allow }), EINVAL, "1 to 4096");
	FAILS(evfilter_load_bpf(&(struct sock_fprog){ 1, half_word }), EINVAL,
	      "instruction 0");
	FAILS(evfilter_load_bpf(&(struct sock_fprog){ 2, extension }), EINVAL,
	      "instruction 0: unknown instruction 0x0101");
	FAILS(evfilter_restrict_self(-1), EBADF, "no descriptor");
	FAILS(evfilter_restrict_process(-1), EBADF, "no descriptor");
	FAILS(evfilter_restrict_at_exec(-1), EBADF, "no descriptor");
	FAILS(evfilter_restrict_strict(EVFILTER_RESTRICT_STRICT), EINVAL, "0x2");
	FAILS(evfilter_restrict_strict(EVFILTER_RESTRICT_TSYNC |
				       EVFILTER_RESTRICT_AT_EXEC), EINVAL, "0x5");
	EXPECT(evfilter_error_thread() == 0);
	FAILS(evfilter_get_info(NULL), EFAULT, "null");
	FAILS(evfilter_sandbox(NULL), EFAULT, "null");
	FAILS(evfilter_sandbox("bad.evf"), EINVAL, "permit");
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);

	/* Messages belong to their thread. */
	EXPECT(strcmp(evfilter_error(), "") != 0);
	EXPECT(pthread_create(&thread, NULL, other_thread, NULL) == 0);
	EXPECT(pthread_join(thread, NULL) == 0);

	EXPECT(evfilter_set_no_new_privs() == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);

	control = evfilter_open();
	if (control >= 0) {
		int null = open("/dev/null", O_RDWR);
		int filter = evfilter_load_image(image, size);

		EXPECT(fcntl(control, F_GETFD) == FD_CLOEXEC);
		EXPECT(evfilter_get_info(&info) == 0);
		EXPECT(info.size == sizeof(info));
		EXPECT(info.abi == EVFILTER_ABI_VERSION);
		FAILS(evfilter_restrict_self(null), EBADFD, "not a filter");
		FAILS(evfilter_restrict_self(12345), EBADF, "attach");
		EXPECT(filter >= 0 && evfilter_restrict_self(filter) == 0);
		EXPECT(open("/etc/hostname", O_RDONLY) == -1 && errno == ENOENT);
		EXPECT(evfilter_load_text("on vfs.getname { default allow }") >= 0);
		EXPECT(evfilter_load_bpf(&(struct sock_fprog){ 1, allow }) >= 0);
		EXPECT(evfilter_restrict_process(filter) == 0);
	} else {
		EXPECT(errno == ENOSYS);
		FAILS(evfilter_get_info(&info), ENOSYS, "not loaded");
		FAILS(evfilter_load_image(image, size), ENOSYS, "insmod");
		FAILS(evfilter_sandbox("good.evf"), ENOSYS, "not loaded");
		FAILS(evfilter_restrict_self(0), ENOSYS, "not loaded");
		FAILS(evfilter_load_bpf(&(struct sock_fprog){ 1, allow }), ENOSYS, "not loaded");
		FAILS(evfilter_restrict_process(0), ENOSYS, "not loaded");
		FAILS(evfilter_restrict_at_exec(0), ENOSYS, "not loaded");
		FAILS(evfilter_restrict_strict(0), ENOSYS, "not loaded");
	}
	free(image);
	return failures != 0;
}
