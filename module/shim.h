/* SPDX-License-Identifier: GPL-2.0 */
/* What C, assembler and Rust agree on. */
#ifndef EVF_SHIM_H
#define EVF_SHIM_H

/*
 * A task's domain: its address stands in syscall_work, above the flags, of which the kernel uses the lowest and looks at no other. Fork copies the word with
 * thread_info. The top bit, which every kernel address has, is the mark of a task that has a domain.
 */
#define EVF_DOMAIN_BYTES 4096
#define EVF_MARK_BIT 63
/* The bit below the address: the domain speaks of vfs.walk. */
#define EVF_WALKS (1 << 11)
/* filters::by_number: what stands for "allowed" in the table that a domain begins with, and how many numbers of 64-bit calls it has. */
#define EVF_BY_NUMBER_ALLOW 1
#define EVF_BY_NUMBER_CALLS 512
/* domain::Domain: where the set of events stands that its layers speak of, and what stands for them there. */
#define EVF_DOMAIN_EVENTS 2048
#define EVF_VFS_GETNAME (1 << 1)
#define EVF_VFS_PICK (1 << 2)
#define EVF_VFS_WALK (1 << 3)
#define EVF_FD_RECEIVE (1 << 4)
#define EVF_SCOPES (1 << 31)
/* uapi::control::PR_EVFILTER */
#define EVF_PR_EVFILTER 0x4556464c

#ifndef __ASSEMBLER__
#include <linux/pid_types.h>
#include <linux/seqlock_types.h>
#include <linux/types.h>

struct bpf_insn;
struct bpf_prog;
struct dentry;
struct evf_root;
struct evf_slot;
struct file;
struct inode;
struct io_uring_cmd;
struct linux_binprm;
struct path;
struct pid;
struct seccomp_data;
struct sock;
struct socket;
struct super_block;
struct task_struct;
struct vfsmount;
struct vm_area_struct;

/* filters::object */
#define EVF_ACCESS_READ 1
#define EVF_ACCESS_WRITE 2
#define EVF_ACCESS_EXEC 4
#define EVF_ACCESS_PATH 8
#define EVF_ACCESS_APPEND 16
#define EVF_OBJECT_NEW 2
#define EVF_OBJECT_INTERPRETER 16
#define EVF_OBJECT_TMPFILE 32

/* Where an object lies; without a mount where that is not known. */
struct evf_place {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

/* uapi::record::Object from kind to nlink */
struct evf_attributes {
	u32 kind;
	u32 flags;
	u32 dev;
	u32 fs;
	u64 ino;
	u32 uid;
	u32 gid;
	u32 mode;
	u32 nlink;
};

/* An open file: where its user sees it, and how it is open: bits of access, flags from bit 8 on, and whether a stacked file system has opened it. */
struct evf_file {
	const struct path *path;
	unsigned long how;
};
#define EVF_FILE_FLAGS_SHIFT 8
#define EVF_FILE_BACKING (1 << 16)

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
int evf_system_call(void);
void evf_seccomp_data(struct seccomp_data *sd);
void evf_syscall_result(int errno);
void evf_log(const char *what, const char *event, unsigned int layer, unsigned int verdict, int nr);
unsigned long evf_symbol(const char *name);
long evf_call(unsigned long fn, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
unsigned long evf_directed_to(unsigned long find, unsigned long location);
void evf_log_taken(const char *what, const char *symbol, unsigned long holder);
void evf_log_unhooked(const char *what, const char *symbol, int error);
unsigned int evf_hooks_max(void);
int evf_hook(unsigned int i, unsigned long *functions, unsigned int n, unsigned long trampoline);
int evf_unhook(unsigned int i, unsigned long trampoline);

/* native.c */
struct bpf_prog *evf_native_alloc(unsigned int insns, unsigned int stack, struct bpf_insn **to);
struct bpf_prog *evf_native_compile(struct bpf_prog *prog, unsigned int (**code)(const void *ctx, const struct bpf_insn *insns));
bool evf_native_serves(void);
long evf_native_call(unsigned long function);

/* object.c */
void evf_describe(const struct dentry *dentry, unsigned int new_mode, struct evf_attributes *to);
void evf_describe_owner(const struct dentry *dentry, struct evf_attributes *to);
bool evf_mount_is_internal(const struct vfsmount *mnt);
unsigned int evf_mounts_of(const struct dentry *dentry, struct vfsmount **mounts, unsigned int max, bool *internal, bool *layer);
bool evf_walk_searches(const struct inode *inode, struct evf_place *place);
bool evf_walk_follows(const struct dentry *dentry, struct evf_place *place);
struct dentry *evf_name_of(struct inode *inode);
struct evf_file evf_file(const struct file *file);
const struct file *evf_bprm_file(const struct linux_binprm *bprm);
const struct file *evf_vma_file(const struct vm_area_struct *vma);
const struct file *evf_uring_cmd_file(const struct io_uring_cmd *cmd);
struct dentry *evf_sb_root(const struct super_block *sb);
struct dentry *evf_root_of_dentry(const struct dentry *dentry);

/* path.c */
extern seqlock_t *evf_mount_lock;
int evf_path(const struct vfsmount *mnt, const struct dentry *dentry, const struct path *root, char *buffer, unsigned int bytes);
int evf_paths_init(void);
void evf_paths_exit(void);
int evf_plain_path(const struct vfsmount *mnt, const struct dentry *dentry, const struct path *root, const char **path);
unsigned int evf_name_len(const char *name);

/* root.c */
int evf_roots_init(void);
void evf_roots_exit(void);
struct evf_root *evf_root_new(void);
void evf_root_get(struct evf_root *root);
void evf_root_put(struct evf_root *root);
bool evf_root_same(const struct evf_root *one, const struct evf_root *other);

/* scope.c */
bool evf_all_of_pid(struct pid *pid, enum pid_type type, bool (*look)(struct task_struct *, const void *), const void *arg);
bool evf_is_abstract(const struct sock *sk);
bool evf_is_bound(const struct sock *sk);
bool evf_is_peer(const struct socket *socket, const struct sock *other);
const struct sock *evf_unix_sock(const struct socket *socket);

/* sysctl.c */
int evf_sysctl_register(u32 security_sequence);
void evf_sysctl_unregister(void);

/* table.c */
extern unsigned int evf_slots;
struct evf_slot *evf_slot_new(const void *domain);
void evf_slot_set(const struct sock *sk, struct evf_slot *slot);
const void *evf_domain_of_sock(const struct sock *sk);

/* ffi/scope.rs */
void evf_domain_put(const void *domain);
#endif

#endif
