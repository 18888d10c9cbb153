// SPDX-License-Identifier: GPL-2.0
/* What the kernel offers to C only: inline functions, macros, structs without Rust bindings. No decision is taken here. */
#include <linux/entry-common.h>
#include <linux/ftrace.h>
#include <linux/hashtable.h>
#include <linux/kprobes.h>
#include <linux/namei.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seccomp.h>
#include <asm/syscall.h>
#include "shim.h"

static_assert(offsetof(struct task_struct, thread_info.syscall_work) == EVF_SYSCALL_WORK);
static_assert(!((SYSCALL_WORK_ENTER | SYSCALL_WORK_EXIT) & BIT_ULL(EVF_MARK_BIT)));
static_assert(sizeof(struct seccomp_data) == 64 && offsetof(struct seccomp_data, args) == 16);

const unsigned int evf_lookup_empty = LOOKUP_EMPTY;

/* The table task -> domain. A slot never changes: a new domain is a new slot. Readers hold RCU. */
struct evf_slot {
	struct hlist_node node;
	const struct task_struct *task;
	const void *domain;
	struct rcu_head rcu;
};

static DEFINE_HASHTABLE(slots, 14);
static DEFINE_SPINLOCK(slots_lock);

static struct evf_slot *find(const struct task_struct *task)
{
	struct evf_slot *slot;

	hash_for_each_possible_rcu(slots, slot, node, (unsigned long)task, lockdep_is_held(&slots_lock))
		if (slot->task == task)
			return slot;
	return NULL;
}

const void *evf_domain_of(const struct task_struct *task)
{
	struct evf_slot *slot = find(task);

	return slot ? slot->domain : NULL;
}

static void retire(struct rcu_head *rcu)
{
	struct evf_slot *slot = container_of(rcu, struct evf_slot, rcu);

	evf_domain_put(slot->domain);
	kfree(slot);
}

/* A slot that owns a reference to the domain; with @must the allocation waits until it succeeds. */
struct evf_slot *evf_slot_new(const void *domain, bool must)
{
	struct evf_slot *slot = kmalloc_obj(*slot, GFP_KERNEL_ACCOUNT | (must ? __GFP_NOFAIL : 0));

	if (slot)
		slot->domain = domain;
	return slot;
}

/* Puts the task under the slot's domain, or, without a slot, out of the table. Marks are set here and never cleared: fork copies them. */
void evf_slot_set(struct task_struct *task, struct evf_slot *slot)
{
	struct evf_slot *old;
	unsigned long flags;

	spin_lock_irqsave(&slots_lock, flags);
	old = find(task);
	if (slot) {
		slot->task = task;
		if (old)
			hlist_replace_rcu(&old->node, &slot->node);
		else
			hash_add_rcu(slots, &slot->node, (unsigned long)task);
		set_bit(EVF_MARK_BIT, &task_thread_info(task)->syscall_work);
		set_task_syscall_work(task, SECCOMP);
	} else if (old) {
		hash_del_rcu(&old->node);
	}
	spin_unlock_irqrestore(&slots_lock, flags);
	if (old)
		call_rcu(&old->rcu, retire);
}

/* Threads that the kernel runs for the caller's process: io_uring workers, SQPOLL threads, vhost. Returns how many there are. */
unsigned int evf_user_workers(struct task_struct **workers, unsigned int max)
{
	struct task_struct *task;
	unsigned int n = 0;

	rcu_read_lock();
	for_each_thread(current, task) {
		if (task == current || !(task->flags & PF_USER_WORKER))
			continue;
		if (n < max)
			workers[n] = get_task_struct(task);
		n++;
	}
	rcu_read_unlock();
	return n;
}

bool evf_no_new_privs(void)
{
	return task_no_new_privs(current);
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

const char *evf_name(const struct filename *name)
{
	return name->name;
}

void evf_log(const char *event, unsigned int layer, unsigned int verdict, int nr)
{
	char comm[TASK_COMM_LEN];

	get_task_comm(comm, current);
	pr_notice_ratelimited("evfilter: log: task=%*pE pid=%d event=%s nr=%d layer=%u verdict=%#010x\n",
			      (int)strlen(comm), comm, task_pid_nr(current), event, nr, layer, verdict);
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

static struct ftrace_ops hooks[16];

int evf_hook(unsigned int i, unsigned long function, unsigned long trampoline)
{
	int error;

	if (i >= ARRAY_SIZE(hooks))
		return -ENOSPC;
	hooks[i] = (struct ftrace_ops){ .flags = FTRACE_OPS_FL_PERMANENT };
	error = ftrace_set_filter_ip(&hooks[i], function, 0, 0) ?: register_ftrace_direct(&hooks[i], trampoline);
	if (error)
		ftrace_free_filter(&hooks[i]);
	return error;
}

int evf_unhook(unsigned int i, unsigned long trampoline)
{
	return unregister_ftrace_direct(&hooks[i], trampoline, true);
}
