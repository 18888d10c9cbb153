// SPDX-License-Identifier: GPL-2.0
/*
 * Objects of file systems: what the kernel knows of one, where it lies, and where a walk stands. Here are the structs that the kernel keeps to itself:
 * struct mount from fs/mount.h, struct nameidata cut out of fs/namei.c when the module is built, so that both are the running kernel's own.
 */
#include <linux/binfmts.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/io_uring/cmd.h>
#include <linux/kdev_t.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include "internal.h"
#include "nameidata.h"
#include "shim.h"

static_assert(offsetof(struct evf_attributes, ino) == 16 && sizeof(struct evf_attributes) == 40);

/* What the record says of the object at @dentry but for its owner; of one that does not exist yet, what it is going to be. Also in RCU walk. */
void evf_describe(const struct dentry *dentry, unsigned int new_mode, struct evf_attributes *to)
{
	const struct inode *inode = READ_ONCE(dentry->d_inode);
	const struct super_block *sb = dentry->d_sb;

	to->dev = new_encode_dev(sb->s_dev);
	to->fs = (u32)sb->s_magic;
	if (!inode) {
		to->kind = (new_mode & S_IFMT) >> 12;
		to->flags |= EVF_OBJECT_NEW;
		return;
	}
	to->kind = (inode->i_mode & S_IFMT) >> 12;
	to->ino = inode->i_ino;
	to->mode = inode->i_mode & ~S_IFMT;
	to->nlink = inode->i_nlink;
}

/* Whose the object is, as the caller's user namespace numbers its owners. */
void evf_describe_owner(const struct dentry *dentry, struct evf_attributes *to)
{
	const struct inode *inode = READ_ONCE(dentry->d_inode);

	if (!inode)
		return;
	to->uid = from_kuid_munged(current_user_ns(), inode->i_uid);
	to->gid = from_kgid_munged(current_user_ns(), inode->i_gid);
}

bool evf_mount_is_internal(const struct vfsmount *mnt)
{
	return evf_is_internal(mnt);
}

/*
 * The mounts of the caller's mount namespace that show the file system of @dentry, with a reference to each, and how many there are (of which @max are
 * given). @internal tells whether the object is one of the kernel's own, see above: nobody has the file system mounted, or a stacked one (overlayfs)
 * works on its layers with the credentials of who mounted it. (io_uring's workers have other credentials than their own without that.) @layer tells
 * whether some stacked file system may have it as a layer.
 */
unsigned int evf_mounts_of(const struct dentry *dentry, struct vfsmount **mounts, unsigned int max, bool *internal, bool *layer)
{
	bool stacked = current->cred != current->real_cred && !(current->flags & (PF_IO_WORKER | PF_USER_WORKER));
	bool mounted = false;
	const struct nsproxy *namespaces = current->nsproxy;
	struct super_block *sb = dentry->d_sb;
	unsigned int n = 0;
	struct mount *m;

	*layer = false;
	read_seqlock_excl(evf_mount_lock);
	for (m = sb->s_mounts; m; m = m->mnt_next_for_sb) {
		if (m->mnt_ns == MNT_NS_INTERNAL) {
			*layer = true;
			continue;
		}
		mounted = true;
		if (namespaces && m->mnt_ns == namespaces->mnt_ns && n++ < max)
			mounts[n - 1] = mntget(&m->mnt);
	}
	read_sequnlock_excl(evf_mount_lock);
	*internal = (sb->s_flags & SB_NOUSER) || (*layer && (stacked || !mounted));
	return n;
}

/* The name of a directory that is to be looked through: whether the walk in progress stands at the directory @inode, and where that is. */
bool evf_walk_searches(const struct inode *inode, struct evf_place *place)
{
	const struct nameidata *nd = current->nameidata;

	if (!nd || nd->inode != inode)
		return false;
	*place = (struct evf_place){ nd->path.mnt, nd->path.dentry };
	return true;
}

/* The same for a symbolic link that is to be followed. */
bool evf_walk_follows(const struct dentry *dentry, struct evf_place *place)
{
	const struct nameidata *nd = current->nameidata;
	const struct saved *last;

	if (!nd || !nd->depth)
		return false;
	last = nd->stack + nd->depth - 1;
	if (last->link.dentry != dentry)
		return false;
	*place = (struct evf_place){ last->link.mnt, last->link.dentry };
	return true;
}

/* A name of the object behind @inode, with a reference, or NULL. */
struct dentry *evf_name_of(struct inode *inode)
{
	return d_find_any_alias(inode);
}

/* A file that is, or is about to be, open. Memory that is mapped from a stacked file system has the file of a layer. */
struct evf_file evf_file(const struct file *file)
{
	fmode_t mode = file->f_mode;
	unsigned int flags = file->f_flags;
	unsigned long how = (mode & FMODE_READ ? EVF_ACCESS_READ : 0) | (mode & FMODE_WRITE ? EVF_ACCESS_WRITE : 0);

	/* What a stacked file system opens below itself was judged above. */
	if (unlikely(mode & FMODE_BACKING))
		how |= EVF_FILE_BACKING;
	if (unlikely(flags & (__FMODE_EXEC | O_PATH | O_APPEND | __O_TMPFILE))) {
		how |= (flags & __FMODE_EXEC ? EVF_ACCESS_EXEC : 0) | (flags & O_PATH ? EVF_ACCESS_PATH : 0) | (flags & O_APPEND ? EVF_ACCESS_APPEND : 0);
		if (flags & __O_TMPFILE)
			how |= EVF_OBJECT_TMPFILE << EVF_FILE_FLAGS_SHIFT;
		if (flags & __FMODE_EXEC && current->in_execve)
			how |= EVF_OBJECT_INTERPRETER << EVF_FILE_FLAGS_SHIFT;
	}
	return (struct evf_file){ file_user_path(file), how };
}

const struct file *evf_bprm_file(const struct linux_binprm *bprm)
{
	return bprm->file;
}

const struct file *evf_vma_file(const struct vm_area_struct *vma)
{
	return vma->vm_file;
}

const struct file *evf_uring_cmd_file(const struct io_uring_cmd *cmd)
{
	return cmd->file;
}

struct dentry *evf_sb_root(const struct super_block *sb)
{
	return sb->s_root;
}

struct dentry *evf_root_of_dentry(const struct dentry *dentry)
{
	return dentry->d_sb->s_root;
}
