/* SPDX-License-Identifier: GPL-2.0 */
/* Mounts that are the kernel's own. */
#ifndef EVF_INTERNAL_H
#define EVF_INTERNAL_H

#include <linux/fs.h>
#include <linux/mount.h>
#include "mount.h"

/* Whether a mount is of a file system that nobody can mount, or a layer below a stacked one. No name leads there. */
static inline bool evf_is_internal(const struct vfsmount *mnt)
{
	return (mnt->mnt_sb->s_flags & SB_NOUSER) || READ_ONCE(real_mount((struct vfsmount *)mnt)->mnt_ns) == MNT_NS_INTERNAL;
}

#endif
