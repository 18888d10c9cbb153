/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * evfilter.h - event filters for Linux tasks, from C
 *
 * Two parts: the kernel interface (numbers and structs; usable without the
 * library), and the library libevfilter.a, which compiles policy texts and
 * does the steps below in one call each.
 *
 *	if (evfilter_sandbox("sandbox.evf") < 0)
 *		errx(1, "%s", evfilter_error());
 *	// from here on this thread and all it starts are confined
 *
 * Link with: cc prog.c libevfilter.a (and -lpthread -lm -ldl where libc does
 * not contain them; with -static nothing else is needed at run time).
 */
#ifndef EVFILTER_H
#define EVFILTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The kernel interface ---------------------------------------------- */

/* Version of the interface, in evfilter_info.abi. */
#define EVFILTER_ABI_VERSION		1

/*
 * prctl(PR_EVFILTER, PR_EVFILTER_OPEN, 0, 0, 0) returns a control descriptor
 * (close-on-exec), EINVAL without the module. Opening EVFILTER_DEVICE gives
 * the same.
 */
#define PR_EVFILTER			0x4556464c
#define PR_EVFILTER_OPEN		1
#define EVFILTER_DEVICE			"/dev/evfilter"

/* The same number as evfilter_info.security_sequence, in decimal. */
#define EVFILTER_SECURITY_SEQUENCE_PATH	"/proc/sys/kernel/evfilter/security_sequence"

/* ioctls of a control descriptor; _IO(0xEF, n). Each struct begins with its
 * own size; flags and fields without a meaning must be zero. */
#define EVFILTER_IOC_INFO		0xEF00u
#define EVFILTER_IOC_LOAD		0xEF01u
#define EVFILTER_IOC_RESTRICT_SELF	0xEF02u

/* Bits of evfilter_info.events. */
#define EVFILTER_EVENT_SYSCALL_ENTER	0
#define EVFILTER_EVENT_VFS_GETNAME	1

/* Answer of EVFILTER_IOC_INFO. Set size first. */
struct evfilter_info {
	uint32_t size;
	uint32_t abi;			/* EVFILTER_ABI_VERSION of the module */
	uint32_t security_sequence;	/* raised with each security fix */
	uint32_t layers;		/* layers on the calling thread */
	uint64_t events;		/* one bit for each event */
	uint32_t max_layers;
	uint32_t max_insns;		/* instructions of one program */
	uint32_t max_image;		/* bytes of a policy image */
	uint32_t max_stack_cost;	/* cost of all programs of one event */
	uint32_t native_layers;		/* layers that run as machine code */
	uint32_t native;		/* whether filters become machine code now */
};

/* evfilter_load.flags: run the programs in the interpreter. */
#define EVFILTER_LOAD_INTERPRETED	1u

/* Argument of EVFILTER_IOC_LOAD, which returns a filter descriptor. */
struct evfilter_load {
	uint32_t size;
	uint32_t flags;			/* EVFILTER_LOAD_* */
	uint64_t image;			/* address of the policy image */
	uint32_t image_len;
	uint32_t message_len;		/* bytes at message, or 0 */
	uint64_t message;		/* address of a buffer for the verifier's message */
};

/* evfilter_restrict_self.flags: all threads of the process, or none. */
#define EVFILTER_RESTRICT_TSYNC		1u
/* The strict filter of the module: read, write, exit, exit_group, sigreturn.
 * filter_fd must be -1. */
#define EVFILTER_RESTRICT_STRICT	2u
/* Takes hold when the caller's next exec has succeeded. Not with TSYNC. */
#define EVFILTER_RESTRICT_AT_EXEC	4u

/* Argument of EVFILTER_IOC_RESTRICT_SELF. */
struct evfilter_restrict_self {
	uint32_t size;
	uint32_t flags;			/* EVFILTER_RESTRICT_* */
	int32_t filter_fd;
	uint32_t thread;		/* 0; after ESRCH the thread in the way */
};

/* ---- The library -------------------------------------------------------- */

/*
 * Every function below that returns an int returns -1 on failure, sets errno
 * and leaves a message for evfilter_error(). A failed call changes nothing
 * about how confined the caller is; only evfilter_sandbox() may leave
 * no_new_privs set. All are thread-safe.
 */

/*
 * What went wrong last on this thread, and what can be done about it; "" if
 * nothing has. One line; for a refused policy text several, with file, line
 * and caret. Valid until the next failing call on the same thread.
 */
const char *evfilter_error(void);

/*
 * The whole way in one call: compile and load the policy file, set
 * no_new_privs, push the filter on the calling thread. Other threads are left
 * as they are: call it before starting any. There is no way back.
 */
int evfilter_sandbox(const char *path);

/*
 * Compile (or take, if it is a compiled image) a policy file and load it.
 * Returns a filter descriptor, close-on-exec, for evfilter_restrict_self; it
 * may be passed over a UNIX socket.
 *
 * errno: ENOSYS module not loaded; EINVAL policy refused; EOPNOTSUPP the
 * module lacks an event that the policy names; EBUSY somebody else (a BPF
 * program attached by fentry) has a kernel function that the policy needs, and
 * the kernel log names both; ENOMEM; those of open(2).
 */
int evfilter_load_file(const char *path);

/* The same from a NUL-terminated policy text; `include` is relative to the
 * current directory. */
int evfilter_load_text(const char *text);

/* The same from a compiled image. */
int evfilter_load_image(const void *image, size_t size);

/*
 * The same from a program made for seccomp, unchanged: what seccomp_export_bpf
 * of libseccomp writes, or a sock_filter array of one's own.
 *
 *	struct sock_filter code[] = { ... };
 *	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };
 *	int filter = evfilter_load_bpf(&program);
 *
 * errno EINVAL: what seccomp would refuse as well; the message names the
 * instruction. The struct is that of <linux/filter.h>.
 */
struct sock_fprog;
int evfilter_load_bpf(const struct sock_fprog *program);

/*
 * Compile a policy file without loading it; needs no module. *image is to be
 * given to free(3).
 */
int evfilter_compile_file(const char *path, void **image, size_t *size);

/* prctl(PR_SET_NO_NEW_PRIVS); needed once by callers without CAP_SYS_ADMIN. */
int evfilter_set_no_new_privs(void);

/*
 * Push a filter on the calling thread and so on all it starts from now on.
 *
 * errno: EACCES neither no_new_privs nor CAP_SYS_ADMIN; EBUSY the caller is
 * tracing another task; ENOSPC too many layers; ENOMEM the layers would cost
 * too much; EBADF, EBADFD not a filter descriptor; ENOSYS module not loaded.
 */
int evfilter_restrict_self(int filter);

/*
 * Push a filter on all threads of the process, or on none of them.
 *
 * errno: those of evfilter_restrict_self; ESRCH a thread cannot be taken
 * along, because it is under a layer that the caller is not under or is
 * tracing another task: evfilter_error_thread() is its id.
 */
int evfilter_restrict_process(int filter);

/*
 * Push a filter that takes hold when the caller's next exec has succeeded,
 * before the new program's first instruction; the policy need not allow the
 * exec. errno: those of evfilter_restrict_self.
 */
int evfilter_restrict_at_exec(int filter);

/*
 * Strict mode: from now on the calling thread may read, write, exit and return
 * from signal handlers, and is killed for anything else. Needs no policy.
 * flags: 0, EVFILTER_RESTRICT_TSYNC or EVFILTER_RESTRICT_AT_EXEC. Allocate,
 * open and flush before; end with _exit(2).
 *
 * errno: those of the functions above; EINVAL other flags.
 */
int evfilter_restrict_strict(unsigned int flags);

/* Id of the thread that the last error on this thread is about, else 0. */
int evfilter_error_thread(void);

/* Open a control descriptor, for the ioctls above. errno ENOSYS: no module. */
int evfilter_open(void);

/* Fill *info; size is set by the library. */
int evfilter_get_info(struct evfilter_info *info);

#ifdef __cplusplus
}
#endif

#endif /* EVFILTER_H */
