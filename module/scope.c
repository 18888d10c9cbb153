// SPDX-License-Identifier: GPL-2.0
/* Whom signals and UNIX sockets reach. */
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <net/af_unix.h>
#include <net/sock.h>
#include "shim.h"

/*
 * Whether @look holds for every task that @pid names, and for the task with that id: a signal to the owner of a descriptor goes there, whatever it leads
 * (send_sigio).
 */
bool evf_all_of_pid(struct pid *pid, enum pid_type type, bool (*look)(struct task_struct *, const void *), const void *arg)
{
	struct task_struct *task;

	guard(rcu)();
	task = pid_task(pid, PIDTYPE_PID);
	if (task && !look(task, arg))
		return false;
	/* Of type PGID are the leaders of all processes in the group. */
	do_each_pid_task(pid, type, task) {
		if (!look(task, arg))
			return false;
	} while_each_pid_task(pid, type, task);
	return true;
}

/* Whether a socket has an abstract address. It cannot lose it once it has it. */
bool evf_is_abstract(const struct sock *sk)
{
	const struct unix_address *address = smp_load_acquire(&unix_sk(sk)->addr);

	return address && address->name->sun_path[0] == '\0' && address->len > offsetof(struct sockaddr_un, sun_path);
}

/* Whether a socket has an address, of whatever kind. */
bool evf_is_bound(const struct sock *sk)
{
	return READ_ONCE(unix_sk(sk)->addr);
}

/* Whether a UNIX socket is connected to another: sending to who was chosen before is no new choice. */
bool evf_is_peer(const struct socket *socket, const struct sock *other)
{
	return socket->sk && READ_ONCE(unix_peer(socket->sk)) == other;
}

/* The UNIX socket behind @socket, or NULL if it is of another family. */
const struct sock *evf_unix_sock(const struct socket *socket)
{
	const struct sock *sk = socket->sk;

	return sk && sk->sk_family == AF_UNIX ? sk : NULL;
}
