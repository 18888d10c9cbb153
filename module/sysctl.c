// SPDX-License-Identifier: GPL-2.0
/* /proc/sys/kernel/evfilter: what user space can learn without a descriptor. In C for struct ctl_table. */
#include <linux/sysctl.h>
#include "shim.h"

static u32 sequence;

static const struct ctl_table files[] = {
	{
		.procname	= "security_sequence",
		.data		= &sequence,
		.maxlen		= sizeof(sequence),
		.mode		= 0444,
		.proc_handler	= proc_douintvec,
	},
};

static struct ctl_table_header *header;

int evf_sysctl_register(u32 security_sequence)
{
	sequence = security_sequence;
	header = register_sysctl("kernel/evfilter", files);
	return header ? 0 : -ENOMEM;
}

void evf_sysctl_unregister(void)
{
	unregister_sysctl_table(header);
}
