/* SPDX-License-Identifier: GPL-2.0 */
/* What shim.c and trampoline.S agree on about the kernel; shim.c asserts each line at compile time. */
#ifndef EVF_SHIM_H
#define EVF_SHIM_H

/* offsetof(struct task_struct, thread_info.syscall_work) */
#define EVF_SYSCALL_WORK 8
/*
 * The mark of a task that has a domain: the top bit of syscall_work. The kernel uses the low bits and looks at no other; fork copies the
 * word with thread_info, so a child is born with its parent's mark.
 */
#define EVF_MARK_BIT 63
/* The byte of syscall_work that holds the mark, and the mark in it. */
#define EVF_MARK_BYTE (EVF_SYSCALL_WORK + EVF_MARK_BIT / 8)
#define EVF_MARK_IN_BYTE (1 << (EVF_MARK_BIT % 8))
/* uapi::control::PR_EVFILTER */
#define EVF_PR_EVFILTER 0x4556464c

#ifndef __ASSEMBLER__
#include <linux/types.h>

struct evf_slot;
struct seccomp_data;
struct task_struct;

/* shim.c */
extern const unsigned int evf_lookup_empty;
extern const unsigned long evf_no_new_privs;
extern const size_t evf_filename_name;
unsigned int evf_other_threads(struct task_struct **threads, unsigned int max, bool workers_only);
bool evf_all_threads(struct task_struct *task, bool (*look)(struct task_struct *, const void *), const void *arg);
int evf_lock_process(void);
void evf_unlock_process(void);
bool evf_traces(struct task_struct *task);
void evf_take_no_new_privs(struct task_struct *task);
bool evf_has_tracer(void);
int evf_call_number(void);
void evf_seccomp_data(struct seccomp_data *sd);
void evf_syscall_result(int errno);
void evf_log(const char *what, const char *event, unsigned int layer, unsigned int verdict, int nr);
unsigned long evf_symbol(const char *name);
int evf_hook(unsigned int i, unsigned long function, unsigned long trampoline);
int evf_unhook(unsigned int i, unsigned long trampoline);

/* sysctl.c */
int evf_sysctl_register(u32 security_sequence);
void evf_sysctl_unregister(void);

/* table.c */
const void *evf_domain_of(const struct task_struct *task);
const void *evf_domain_at_exec_of(const struct task_struct *task);
struct evf_slot *evf_slot_new(const void *domain, const void *at_exec, bool must);
void evf_slot_set(struct task_struct *task, struct evf_slot *slot);

/* ffi.rs */
void evf_domain_put(const void *domain);
#endif

#endif
