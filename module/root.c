// SPDX-License-Identifier: GPL-2.0
/* The root directory that a layer was attached under. In C for its release: that may sleep, and the last reference can go in an RCU callback. */
#include <linux/fs_struct.h>
#include <linux/path.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "shim.h"

struct evf_root {
	/* First: who has a root has a path. */
	struct path path;
	refcount_t users;
	struct work_struct release;
};

static struct workqueue_struct *releases;

int evf_roots_init(void)
{
	releases = alloc_workqueue("evfilter", WQ_UNBOUND, 0);
	return releases ? 0 : -ENOMEM;
}

/* When no root can be given up any more: waits for those that were. */
void evf_roots_exit(void)
{
	destroy_workqueue(releases);
}

static void release(struct work_struct *work)
{
	struct evf_root *root = container_of(work, struct evf_root, release);

	path_put(&root->path);
	kfree(root);
}

/* The caller's root directory. */
struct evf_root *evf_root_new(void)
{
	struct evf_root *root = kmalloc_obj(*root, GFP_KERNEL_ACCOUNT);

	if (!root)
		return NULL;
	get_fs_root(current->fs, &root->path);
	refcount_set(&root->users, 1);
	INIT_WORK(&root->release, release);
	return root;
}

void evf_root_get(struct evf_root *root)
{
	refcount_inc(&root->users);
}

void evf_root_put(struct evf_root *root)
{
	if (refcount_dec_and_test(&root->users))
		queue_work(releases, &root->release);
}

bool evf_root_same(const struct evf_root *one, const struct evf_root *other)
{
	return path_equal(&one->path, &other->path);
}
