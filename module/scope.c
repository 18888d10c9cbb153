// SPDX-License-Identifier: GPL-2.0
/* Whom signals and UNIX sockets reach. */
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <net/af_unix.h>
#include <net/sock.h>
#include "shim.h"

/* Whether @look holds for every task that @pid names. The caller holds RCU. */
bool evf_all_of_pid(struct pid *pid, enum pid_type type, bool (*look)(struct task_struct *, const void *), const void *arg)
{
	struct task_struct *task;

	/* Those of type TGID have one task each, the leader; that of type PGID are all leaders of the group. */
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

/* The UNIX socket behind @socket, or NULL if it is of another family. */
const struct sock *evf_unix_sock(const struct socket *socket)
{
	const struct sock *sk = socket->sk;

	return sk && sk->sk_family == AF_UNIX ? sk : NULL;
}
