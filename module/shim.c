// SPDX-License-Identifier: GPL-2.0
/* What the kernel offers to C only: inline functions, macros, structs without Rust bindings. No decision is taken here. */
#include <linux/entry-common.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/namei.h>
#include <linux/ptrace.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seccomp.h>
#include <asm/syscall.h>
#include "shim.h"

static_assert(SYSCALL_WORK_SYSCALL_RSEQ_SLICE * 2 <= EVF_WALKS && EVF_WALKS < EVF_DOMAIN_BYTES && SYSCALL_WORK_SECCOMP == 1);
static_assert(!((SYSCALL_WORK_ENTER | SYSCALL_WORK_EXIT) & ~(EVF_WALKS - 1UL)));
static_assert(sizeof_field(struct task_struct, seccomp.mode) == 4 && sizeof_field(struct thread_info, status) == 4);
static_assert(sizeof(struct seccomp_data) == 64 && offsetof(struct seccomp_data, args) == 16);

const unsigned int evf_lookup_empty = LOOKUP_EMPTY;
const unsigned long evf_no_new_privs = BIT(PFA_NO_NEW_PRIVS);
const size_t evf_filename_name = offsetof(struct filename, name);

/* for_each_thread() under RCU: the kernel's own also asks for tasklist_lock where it proves lists, and modules cannot name that. */
#define evf_for_each_thread(task, thread) list_for_each_entry_rcu(thread, &(task)->signal->thread_head, thread_node)

/*
 * The other threads of the caller's process that have not ended, or only those that the kernel runs for it: io_uring workers, SQPOLL threads, vhost.
 * Returns how many there are.
 */
unsigned int evf_other_threads(struct task_struct **threads, unsigned int max, bool workers_only)
{
	struct task_struct *task;
	unsigned int n = 0;

	rcu_read_lock();
	evf_for_each_thread(current, task) {
		/* Each task writes its own without a lock. A worker is one from the beginning; who begins to end after this has the layer for nothing. */
		unsigned int flags = data_race(READ_ONCE(task->flags));

		if (task == current || (flags & PF_EXITING) || (workers_only && !(flags & PF_USER_WORKER)))
			continue;
		if (n < max)
			threads[n] = get_task_struct(task);
		n++;
	}
	rcu_read_unlock();
	return n;
}

/* Whether @look holds for every thread of the task's process. The caller holds RCU. */
bool evf_all_threads(struct task_struct *task, bool (*look)(struct task_struct *, const void *), const void *arg)
{
	struct task_struct *thread;

	evf_for_each_thread(task, thread)
		if (!look(thread, arg))
			return false;
	return true;
}

/* Keeps the other threads of the caller's process from restricting themselves and from exec, as SECCOMP_FILTER_FLAG_TSYNC does. */
int evf_lock_process(void)
{
	return mutex_lock_killable(&current->signal->cred_guard_mutex);
}

void evf_unlock_process(void)
{
	mutex_unlock(&current->signal->cred_guard_mutex);
}

bool evf_traces(struct task_struct *task)
{
	return !list_empty_careful(&task->ptraced);
}

void evf_take_no_new_privs(struct task_struct *task)
{
	if (task_no_new_privs(current))
		task_set_no_new_privs(task);
}

bool evf_has_tracer(void)
{
	return ptrace_event_enabled(current, PTRACE_EVENT_SECCOMP);
}

/* The number of the call that a tracer has left; negative if it is not to run, or if the caller is about to die. */
int evf_call_number(void)
{
	return fatal_signal_pending(current) ? -1 : syscall_get_nr(current, current_pt_regs());
}

/* The number of the system call in progress; -1 in a task that runs none. */
int evf_system_call(void)
{
	return current->flags & (PF_USER_WORKER | PF_KTHREAD) ? -1 : syscall_get_nr(current, task_pt_regs(current));
}

/* The system call in progress; the caller has set nr to -1 and the rest to 0, which stays in a task that runs none. */
void evf_seccomp_data(struct seccomp_data *sd)
{
	struct pt_regs *regs = task_pt_regs(current);

	if (current->flags & (PF_USER_WORKER | PF_KTHREAD))
		return;
	sd->nr = syscall_get_nr(current, regs);
	sd->arch = syscall_get_arch(current);
	sd->instruction_pointer = KSTK_EIP(current);
	syscall_get_arguments(current, regs, (unsigned long *)sd->args);
}

/* What a refused system call returns: -errno, or for a negative @errno the registers as they were. */
void evf_syscall_result(int errno)
{
	if (errno >= 0)
		syscall_set_return_value(current, current_pt_regs(), -errno, 0);
	else
		syscall_rollback(current, current_pt_regs());
}

void evf_log(const char *what, const char *event, unsigned int layer, unsigned int verdict, int nr)
{
	char comm[TASK_COMM_LEN];

	get_task_comm(comm, current);
	pr_notice_ratelimited("evfilter: %s: task=%*pE pid=%d event=%s nr=%d layer=%u verdict=%#010x\n",
			      what, (int)strlen(comm), comm, task_pid_nr(current), event, nr, layer, verdict);
}

/* Where a kernel function lies, by the one exported way to learn it: place a probe on its entry and look. */
unsigned long evf_symbol(const char *name)
{
	struct kprobe probe = { .symbol_name = name };

	if (register_kprobe(&probe))
		return 0;
	unregister_kprobe(&probe);
	return (unsigned long)probe.addr;
}

/* Where ftrace leads the callers of the function that it patches at @location, or 0. @find is ftrace_find_rec_direct(): for readers that are not preempted. */
unsigned long evf_directed_to(unsigned long find, unsigned long location)
{
	guard(preempt)();
	return evf_call(find, location, 0, 0, 0);
}

/* Why a function cannot be hooked: somebody directs its callers to @holder already. Anybody can try as often as they like, so the log has a limit. */
void evf_log_taken(const char *what, const char *symbol, unsigned long holder)
{
	pr_err_ratelimited("evfilter: %s: %s is taken by %ps\n", what, symbol, (void *)holder);
}

/* The same where nobody does. */
void evf_log_unhooked(const char *what, const char *symbol, int error)
{
	pr_err_ratelimited("evfilter: %s: %s cannot be hooked (error %d): ftrace is off, or it was taken until now\n", what, symbol, error);
}

static struct ftrace_ops hooks[32];

unsigned int evf_hooks_max(void)
{
	return ARRAY_SIZE(hooks);
}

/* Directs all these functions through one trampoline, or none. */
int evf_hook(unsigned int i, unsigned long *functions, unsigned int n, unsigned long trampoline)
{
	int error;

	if (i >= ARRAY_SIZE(hooks))
		return -ENOSPC;
	hooks[i] = (struct ftrace_ops){ .flags = FTRACE_OPS_FL_PERMANENT };
	error = ftrace_set_filter_ips(&hooks[i], functions, n, 0, 0) ?: register_ftrace_direct(&hooks[i], trampoline);
	if (error)
		ftrace_free_filter(&hooks[i]);
	return error;
}

int evf_unhook(unsigned int i, unsigned long trampoline)
{
	return unregister_ftrace_direct(&hooks[i], trampoline, true);
}
