// SPDX-License-Identifier: GPL-2.0
/*
 * evf_coverage.ko: which instrumented places of evfilter.ko have run.
 *
 * The compiler's instrumentation is kcov's. kcov itself is no part of the stock kernel, and collects for tasks that ask for it, each for itself.
 * Here everything counts: every task, interrupts, workers and what runs after a grace period. A place is known by its offset in the module's text,
 * which is the same in each load; so what was seen stays when the module goes and comes again.
 */
#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#define TARGET	"evfilter"
/* Bytes of text that can be followed: several times what there are. */
#define MOST	(1UL << 20)
/* Places in a line of the report, which crosses a serial console. */
#define A_LINE	24

struct region {
	const char *name;
	enum mod_mem_type type;
	unsigned long base;
	unsigned long size;
	/* One byte for each of the text: setting it needs neither a lock nor an atomic operation. */
	u8 seen[MOST];
};

static struct region regions[] = {
	{ .name = "text", .type = MOD_TEXT },
	{ .name = "init", .type = MOD_INIT_TEXT },
};

/* Calls from elsewhere: there are none, unless something else was instrumented. */
static atomic_long_t strays;

void __sanitizer_cov_trace_pc(void);

/* Called in every context, at the beginning of each block of the module's code. */
void notrace __sanitizer_cov_trace_pc(void)
{
	unsigned long pc = (unsigned long)__builtin_return_address(0);
	int i;

	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		struct region *region = &regions[i];
		unsigned long at = pc - READ_ONCE(region->base);

		if (at < READ_ONCE(region->size)) {
			WRITE_ONCE(region->seen[at], 1);
			return;
		}
	}
	atomic_long_inc(&strays);
}
EXPORT_SYMBOL_GPL(__sanitizer_cov_trace_pc);

/* The module comes: from now on its text is here. None of its code has run yet. */
static int comes(struct notifier_block *block, unsigned long state, void *data)
{
	struct module *mod = data;
	int i;

	if (state != MODULE_STATE_COMING || strcmp(mod->name, TARGET))
		return NOTIFY_DONE;
	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		struct region *region = &regions[i];
		const struct module_memory *memory = &mod->mem[region->type];

		if (memory->size > MOST || (region->size && region->size != memory->size)) {
			pr_err("evf_coverage: %s of %u bytes: too large, or not the module that was loaded before\n",
			       region->name, memory->size);
			return notifier_from_errno(-EINVAL);
		}
		WRITE_ONCE(region->base, (unsigned long)memory->base);
		WRITE_ONCE(region->size, memory->size);
	}
	return NOTIFY_OK;
}

static struct notifier_block notifier = { .notifier_call = comes };

/* "region NAME SIZE", "seen NAME OFFSET..." in hexadecimal digits, and last "end PLACES STRAYS", so that a lost line is noticed. */
static int report_show(struct seq_file *file, void *unused)
{
	unsigned long places = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		const struct region *region = &regions[i];
		unsigned long at, column = 0;

		seq_printf(file, "region %s %lx\n", region->name, region->size);
		for (at = 0; at < region->size; at++) {
			if (!READ_ONCE(region->seen[at]))
				continue;
			if (column % A_LINE == 0)
				seq_printf(file, "%sseen %s", column ? "\n" : "", region->name);
			seq_printf(file, " %lx", at);
			column++;
		}
		if (column)
			seq_putc(file, '\n');
		places += column;
	}
	seq_printf(file, "end %lx %lx\n", places, atomic_long_read(&strays));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static struct dentry *report;

static int __init coverage_init(void)
{
	int error = register_module_notifier(&notifier);

	if (error)
		return error;
	report = debugfs_create_file("evf_coverage", 0400, NULL, NULL, &report_fops);
	if (IS_ERR(report)) {
		unregister_module_notifier(&notifier);
		return PTR_ERR(report);
	}
	return 0;
}
module_init(coverage_init);

static void __exit coverage_exit(void)
{
	debugfs_remove(report);
	unregister_module_notifier(&notifier);
}
module_exit(coverage_exit);

MODULE_DESCRIPTION("Collects which code of evfilter has run");
MODULE_LICENSE("GPL");
