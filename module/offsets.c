// SPDX-License-Identifier: GPL-2.0
/* Where trampoline.S finds what in the kernel's structs: compiled to assembler, from which Kbuild makes offsets.h. */
#include <linux/fs.h>
#include <linux/kbuild.h>
#include <linux/sched.h>
#include <asm/ptrace.h>
#include <asm/thread_info.h>

/* A lock that cgroup_post_fork() takes orders the child's entry into the list of threads before the test in the trampoline of wake_up_new_task(). */
#ifndef CONFIG_CGROUPS
#error evfilter needs CONFIG_CGROUPS
#endif

int main(void)
{
	OFFSET(EVF_SYSCALL_WORK, task_struct, thread_info.syscall_work);
	OFFSET(EVF_STATUS, task_struct, thread_info.status);
	OFFSET(EVF_STACK, task_struct, stack);
	OFFSET(EVF_SECCOMP_MODE, task_struct, seccomp.mode);
	OFFSET(EVF_ATOMIC_FLAGS, task_struct, atomic_flags);
	DEFINE(EVF_NO_NEW_PRIVS, 1 << PFA_NO_NEW_PRIVS);
	DEFINE(EVF_COMPAT, TS_COMPAT);
	OFFSET(EVF_FILE_FLAGS, file, f_flags);
	DEFINE(EVF_O_PATH, O_PATH);
	DEFINE(EVF_MAY_CHDIR, MAY_CHDIR);
	/* From the lowest address of a task's kernel stack to the registers of its system call. */
	DEFINE(EVF_STACK_REGS, THREAD_SIZE - TOP_OF_KERNEL_STACK_PADDING - sizeof(struct pt_regs));
	OFFSET(EVF_REGS_NR, pt_regs, orig_ax);
	return 0;
}
