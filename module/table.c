// SPDX-License-Identifier: GPL-2.0
/* The table task -> domain, and socket -> domain of who bound it. In C for the kernel's own RCU hash lists; which task gets which domain is decided in task.rs. */
#include <linux/hashtable.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "shim.h"

/* A slot never changes: a new domain is a new slot. Readers hold RCU. */
struct evf_slot {
	struct hlist_node node;
	/* The task or socket: an address, never followed. */
	const void *whose;
	const void *domain;
	const void *at_exec;
	struct rcu_head rcu;
};

static DEFINE_HASHTABLE(slots, 14);
static DEFINE_SPINLOCK(slots_lock);

static struct evf_slot *find(const void *whose)
{
	struct evf_slot *slot;

	hash_for_each_possible_rcu(slots, slot, node, (unsigned long)whose, lockdep_is_held(&slots_lock))
		if (slot->whose == whose)
			return slot;
	return NULL;
}

const void *evf_domain_of(const struct task_struct *task)
{
	struct evf_slot *slot = find(task);

	return slot ? slot->domain : NULL;
}

/* The domain that takes the other's place when the task's next exec has succeeded, or NULL. */
const void *evf_domain_at_exec_of(const struct task_struct *task)
{
	struct evf_slot *slot = find(task);

	return slot ? slot->at_exec : NULL;
}

static void retire(struct rcu_head *rcu)
{
	struct evf_slot *slot = container_of(rcu, struct evf_slot, rcu);

	evf_domain_put(slot->domain);
	if (slot->at_exec)
		evf_domain_put(slot->at_exec);
	kfree(slot);
}

/* A slot that owns a reference to each domain; with @must the allocation waits until it succeeds. */
struct evf_slot *evf_slot_new(const void *domain, const void *at_exec, bool must)
{
	struct evf_slot *slot = kmalloc_obj(*slot, GFP_KERNEL_ACCOUNT | (must ? __GFP_NOFAIL : 0));

	if (slot) {
		slot->domain = domain;
		slot->at_exec = at_exec;
	}
	return slot;
}

/* Puts @slot, or nothing, in the place of what stands there for @whose. The caller holds the lock; what it gets back it retires. */
static struct evf_slot *replace(const void *whose, struct evf_slot *slot)
{
	struct evf_slot *old = find(whose);

	if (slot) {
		slot->whose = whose;
		if (old)
			hlist_replace_rcu(&old->node, &slot->node);
		else
			hash_add_rcu(slots, &slot->node, (unsigned long)whose);
	} else if (old) {
		hash_del_rcu(&old->node);
	}
	return old;
}

/* Puts the task under the slot's domain, or, without a slot, out of the table. Marks are set here and never cleared: fork copies them. */
void evf_slot_set(struct task_struct *task, struct evf_slot *slot)
{
	struct evf_slot *old;
	unsigned long flags;

	spin_lock_irqsave(&slots_lock, flags);
	old = replace(task, slot);
	if (slot) {
		set_bit(EVF_MARK_BIT, &task_thread_info(task)->syscall_work);
		set_task_syscall_work(task, SECCOMP);
	}
	spin_unlock_irqrestore(&slots_lock, flags);
	if (old)
		call_rcu(&old->rcu, retire);
}

const void *evf_domain_of_sock(const struct sock *sk)
{
	struct evf_slot *slot = find(sk);

	return slot ? slot->domain : NULL;
}

/* The same for a socket; without a slot, which is for every socket that goes, most of the time nothing stands there. */
void evf_sock_slot_set(const struct sock *sk, struct evf_slot *slot)
{
	struct evf_slot *old;
	unsigned long flags;

	if (!slot) {
		rcu_read_lock();
		old = find(sk);
		rcu_read_unlock();
		if (!old)
			return;
	}
	spin_lock_irqsave(&slots_lock, flags);
	old = replace(sk, slot);
	spin_unlock_irqrestore(&slots_lock, flags);
	if (old)
		call_rcu(&old->rcu, retire);
}
