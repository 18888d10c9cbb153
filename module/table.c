// SPDX-License-Identifier: GPL-2.0
/* The table socket -> domain of who bound it. In C for the kernel's own RCU hash lists; which socket gets which domain is decided in task.rs. */
#include <linux/hashtable.h>
#include <linux/slab.h>
#include "shim.h"

/* A slot never changes: a new domain is a new slot. Readers hold RCU. */
struct evf_slot {
	struct hlist_node node;
	/* An address, never followed. */
	const struct sock *sk;
	const void *domain;
	struct rcu_head rcu;
};

static DEFINE_HASHTABLE(slots, 12);
static DEFINE_SPINLOCK(slots_lock);

/* How many slots there are: while there is none, the trampoline of security_sk_free leaves at once. */
unsigned int evf_slots;

static struct evf_slot *find(const struct sock *sk)
{
	struct evf_slot *slot;

	hash_for_each_possible_rcu(slots, slot, node, (unsigned long)sk, lockdep_is_held(&slots_lock))
		if (slot->sk == sk)
			return slot;
	return NULL;
}

const void *evf_domain_of_sock(const struct sock *sk)
{
	struct evf_slot *slot = find(sk);

	return slot ? slot->domain : NULL;
}

static void retire(struct rcu_head *rcu)
{
	struct evf_slot *slot = container_of(rcu, struct evf_slot, rcu);

	evf_domain_put(slot->domain);
	kfree(slot);
}

/* A slot that owns a reference to the domain. */
struct evf_slot *evf_slot_new(const void *domain)
{
	struct evf_slot *slot = kmalloc_obj(*slot, GFP_KERNEL_ACCOUNT);

	if (slot)
		slot->domain = domain;
	return slot;
}

/* Puts the slot, or nothing, in the place of what stands there for the socket. For every socket that goes, most of the time nothing stands there. */
void evf_slot_set(const struct sock *sk, struct evf_slot *slot)
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
	old = find(sk);
	if (slot) {
		slot->sk = sk;
		if (old)
			hlist_replace_rcu(&old->node, &slot->node);
		else
			hash_add_rcu(slots, &slot->node, (unsigned long)sk);
	} else if (old) {
		hash_del_rcu(&old->node);
	}
	WRITE_ONCE(evf_slots, evf_slots + !!slot - !!old);
	spin_unlock_irqrestore(&slots_lock, flags);
	if (old)
		call_rcu(&old->rcu, retire);
}
