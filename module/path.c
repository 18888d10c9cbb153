// SPDX-License-Identifier: GPL-2.0
/*
 * The path of an object, as seen from a root: what __d_path() of fs/d_path.c finds, at a third of its price. That one copies each name byte by byte as if
 * its memory might be gone. Here names are copied a word at a time, and never past their end: every name ends with a NUL, whatever a rename is doing to
 * it, and what a rename has changed is found out afterwards and read again.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/path.h>
#include <linux/percpu.h>
#include <linux/seqlock.h>
#include <linux/unaligned.h>
#include <asm/word-at-a-time.h>
#include "internal.h"
#include "shim.h"

#define WORD sizeof(unsigned long)

/* The kernel's mount_lock, which is not exported: set when the module is loaded. */
seqlock_t *evf_mount_lock __ro_after_init;

/*
 * Puts a slash and the name before @end, in a buffer that lies between @start and @limit. NULL if the name does not fit. On its own, so that it finds enough
 * registers.
 */
static noinline char *put_name(const char *start, char *end, const char *limit, const struct dentry *dentry)
{
	const struct word_at_a_time constants = WORD_AT_A_TIME_CONSTANTS;
	const unsigned char *name = smp_load_acquire(&dentry->d_name.name);
	unsigned long len = READ_ONCE(dentry->d_name.len);
	unsigned long at, word, behind, zeros;
	char *to = end - len;

	if (unlikely(len >= end - start))
		return NULL;
	for (at = 0; at + WORD <= len; at += WORD) {
		word = load_unaligned_zeropad(name + at);
		put_unaligned(word, (unsigned long *)(to + at));
		/* Name and length do not fit: a rename is at work, and will be noticed. */
		if (unlikely(has_zero(word, &zeros, &constants)))
			goto out;
	}
	if (at == len)
		goto out;
	word = load_unaligned_zeropad(name + at);
	if (likely(limit - end >= WORD)) {
		/* What the word writes over behind the name is put back. */
		behind = get_unaligned((unsigned long *)end);
		put_unaligned(word, (unsigned long *)(to + at));
		put_unaligned(behind, (unsigned long *)end);
	} else {
		for (; at < len; at++, word >>= BITS_PER_BYTE)
			to[at] = word;
	}
out:
	*--to = '/';
	return to;
}

/* As __prepend_path() of fs/d_path.c: from the object upwards to the root. */
static char *put_names(const char *start, const char *limit, const struct vfsmount *vfsmnt, const struct dentry *dentry, const struct path *root)
{
	char *end = (char *)limit;
	bool fits = true;
	const struct mount *mnt = real_mount((struct vfsmount *)vfsmnt);

	while (dentry != root->dentry || &mnt->mnt != root->mnt) {
		const struct dentry *parent = READ_ONCE(dentry->d_parent);

		if (dentry == mnt->mnt.mnt_root) {
			const struct mount *above = READ_ONCE(mnt->mnt_parent);

			if (mnt == above)
				return ERR_PTR(-ENOENT);
			dentry = READ_ONCE(mnt->mnt_mountpoint);
			mnt = above;
			continue;
		}
		if (unlikely(dentry == parent))
			return ERR_PTR(-ENOENT);
		/* Where a name does not fit it still counts whether the root lies above. */
		if (fits) {
			end = put_name(start, end, limit, dentry);
			fits = end;
		}
		dentry = parent;
	}
	return fits ? end : ERR_PTR(-ENAMETOOLONG);
}

/*
 * Where in @buffer the path begins that leads from @root to the object; it ends at @bytes. -ENOENT if no path leads there, -ENAMETOOLONG if it does not fit.
 * The caller holds the RCU read lock.
 */
int evf_path(const struct vfsmount *mnt, const struct dentry *dentry, const struct path *root, char *buffer, unsigned int bytes)
{
	seqlock_t *mounts = evf_mount_lock;
	int renames_seq, mounts_seq = 0;
	char *begin;

again:
	read_seqbegin_or_lock(mounts, &mounts_seq);
	renames_seq = 0;
again_names:
	read_seqbegin_or_lock(&rename_lock, &renames_seq);
	begin = put_names(buffer, buffer + bytes, mnt, dentry, root);
	if (need_seqretry(&rename_lock, renames_seq)) {
		renames_seq = 1;
		goto again_names;
	}
	done_seqretry(&rename_lock, renames_seq);
	if (need_seqretry(mounts, mounts_seq)) {
		mounts_seq = 1;
		goto again;
	}
	done_seqretry(mounts, mounts_seq);

	if (IS_ERR(begin))
		return PTR_ERR(begin);
	/* The root itself. */
	if (begin == buffer + bytes)
		*--begin = '/';
	return begin - buffer;
}

/*
 * The same in a hurry, for nearly all objects: while nobody renames or mounts, and all names are short. Those lie in the dentry itself, so there is nothing
 * to run over, whatever a rename is doing to their length. What lies before a name in the buffer is written over. Zero or less says that it takes longer.
 */
static int path_in_a_hurry(const struct vfsmount *vfsmnt, const struct dentry *dentry, const struct path *root, char *buffer, unsigned int bytes)
{
	const struct mount *mnt = real_mount((struct vfsmount *)vfsmnt);
	unsigned int mounts_seq = raw_seqcount_begin(&evf_mount_lock->seqcount);
	unsigned int renames_seq = raw_seqcount_begin(&rename_lock.seqcount);
	const char *first = buffer + DNAME_INLINE_LEN + 1;
	char *end = buffer + bytes;

	while (dentry != root->dentry || &mnt->mnt != root->mnt) {
		const union shortname_store *inside = &dentry->d_shortname;
		const struct dentry *parent = READ_ONCE(dentry->d_parent);
		unsigned long len;

		if (unlikely(dentry == parent || dentry == mnt->mnt.mnt_root)) {
			const struct mount *above = READ_ONCE(mnt->mnt_parent);

			if (dentry != mnt->mnt.mnt_root || mnt == above)
				return 0;
			dentry = READ_ONCE(mnt->mnt_mountpoint);
			mnt = above;
			continue;
		}
		len = READ_ONCE(dentry->d_name.len);
		if (unlikely(READ_ONCE(dentry->d_name.name) != inside->string || len >= DNAME_INLINE_LEN || end < first))
			return 0;
		if (len <= WORD) {
			/* A name has at least one byte; should it seem to have none, that is noticed below. */
			put_unaligned(READ_ONCE(inside->words[0]) << ((-len * BITS_PER_BYTE) & (BITS_PER_LONG - 1)), (unsigned long *)(end - WORD));
			end -= len;
		} else {
			unsigned long at, last = data_race(get_unaligned((const unsigned long *)(inside->string + len - WORD)));

			put_unaligned(last, (unsigned long *)(end - WORD));
			end -= len;
			for (at = 0; at < len - WORD; at += WORD)
				put_unaligned(READ_ONCE(inside->words[at / WORD]), (unsigned long *)(end + at));
		}
		*--end = '/';
		dentry = parent;
	}
	if (read_seqcount_retry(&rename_lock.seqcount, renames_seq) || read_seqcount_retry(&evf_mount_lock->seqcount, mounts_seq))
		return 0;
	return end - buffer;
}

/* Room for one path, for each processor. */
static char __percpu *rooms;

int evf_paths_init(void)
{
	rooms = __alloc_percpu(PATH_MAX, sizeof(long));
	return rooms ? 0 : -ENOMEM;
}

/* When nobody looks for paths any more. */
void evf_paths_exit(void)
{
	free_percpu(rooms);
}

/*
 * The same for an object that exists, on a mount that is not the kernel's own; -EINVAL for others. Returns the length of the path, which lies in this
 * processor's room at @path. The caller is not preempted as long as it looks there.
 */
int evf_plain_path(const struct vfsmount *mnt, const struct dentry *dentry, const struct path *root, const char **path)
{
	/* As long as any path may be, without its NUL. */
	const unsigned int bytes = PATH_MAX - 1;
	char *room;
	int begin;

	if (!mnt || !READ_ONCE(dentry->d_inode) || evf_is_internal(mnt))
		return -EINVAL;
	room = this_cpu_ptr(rooms);
	begin = path_in_a_hurry(mnt, dentry, root, room, bytes);
	if (unlikely(begin <= 0 || begin >= bytes)) {
		begin = evf_path(mnt, dentry, root, room, bytes);
		if (begin < 0)
			return begin;
	}
	*path = room + begin;
	return bytes - begin;
}

/* Length of a name of which the kernel has its own copy. */
unsigned int evf_name_len(const char *name)
{
	const struct word_at_a_time constants = WORD_AT_A_TIME_CONSTANTS;
	unsigned long word, zeros;
	unsigned int at = 0;

	for (;;) {
		word = load_unaligned_zeropad(name + at);
		if (has_zero(word, &zeros, &constants))
			return at + find_zero(create_zero_mask(prep_zero_mask(word, zeros, &constants)));
		at += WORD;
	}
}
