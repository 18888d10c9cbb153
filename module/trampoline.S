/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trampolines: how a hooked kernel function reaches its Rust handler.
 *
 * register_ftrace_direct() patches the nop at a function's entry into a call to the trampoline. On arrival no register has changed and the
 * stack is
 *
 *	 0(%rsp)	A: return into the hooked function, just behind the patched call
 *	 8(%rsp)	C: return to the function's caller
 *
 * so "ret" goes on as if nothing had happened, and dropping A before "ret" returns to the caller without having run the function.
 *
 * A task without the mark (see shim.h) leaves by the first branch. A frame of a trampoline can sleep only in a marked task, whose domain pins
 * the module, or in evf_on_task_prctl, which pins it itself: that is why nothing here counts frames.
 *
 * rax, r10 and r11 are free at function entry: no hooked function is variadic or takes a static chain.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/ibt.h>
#include <asm/percpu.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>
#include "offsets.h"
#include "shim.h"

/* The byte of syscall_work that holds the mark, and the mark in it. */
#define EVF_MARK_BYTE (EVF_SYSCALL_WORK + EVF_MARK_BIT / 8)
#define EVF_MARK_IN_BYTE (1 << (EVF_MARK_BIT % 8))

/* Branch to \target if the task at \reg has no mark. */
.macro EVF_LEAVE_UNMARKED reg, target
	testb	$EVF_MARK_IN_BYTE, EVF_MARK_BYTE(\reg)
	jz	\target
.endm

.macro EVF_LEAVE_CURRENT_UNMARKED target
	movq	PER_CPU_VAR(current_task), %rax
	EVF_LEAVE_UNMARKED %rax, \target
.endm

/* Branch to \target if no layer on the current task, whose address the macro above has left in rax, speaks of one of \events. */
.macro EVF_LEAVE_UNJUDGED events, target
	/* The domain is not freed meanwhile. */
	incl	PER_CPU_VAR(__preempt_count)
	movq	EVF_SYSCALL_WORK(%rax), %r11
	andq	$-EVF_DOMAIN_BYTES, %r11
	movl	EVF_DOMAIN_EVENTS(%r11), %r11d
	decl	PER_CPU_VAR(__preempt_count)
	testl	$\events, %r11d
	jz	\target
.endm

/*
 * Guard, the part behind the test: call \handler with the hooked function's own arguments. It returns a struct of two words:
 * rax = 0: go on with what stands behind the macro; otherwise return rdx to the caller in place of the function.
 *
 * The handler of a trampoline that functions share gets something else: A, by which it knows the function, and a pointer to the six argument registers,
 * the last first. For a function without arguments nothing needs saving.
 */
.macro EVF_GUARD handler, shared=0, arguments=1
	.if \arguments
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%r8
	pushq	%r9
	.endif
	.if \shared
	movq	48(%rsp), %rdi
	movq	%rsp, %rsi
	.endif
	call	\handler
	movq	%rdx, %r10
	.if \arguments
	popq	%r9
	popq	%r8
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	.endif
	testq	%rax, %rax
	jz	.Lgo_on\@
	movq	%r10, %rax
	/* Drop A. What is left is the stack of a function that was just called by C. */
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
.Lgo_on\@:
	UNWIND_HINT_FUNC
.endm

/*
 * Inspect, the part behind the test: run the hooked function to its end, then give \handler its result and two of its arguments, the first two if nothing
 * else is said. What the handler returns is the result. The body is entered at A by a return, not by a call: behind the patched call there is no ENDBR, and before
 * it there may be none either (the kernel seals those of functions whose address it never takes).
 */
.macro EVF_INSPECT handler, one=%rdi, other=%rsi
	pushq	\one
	pushq	\other
	/* Intra-function call: leaves .Lback as the return address of the body. */
	ANNOTATE_INTRA_FUNCTION_CALL
	call	.Lbody\@
.Lback\@:
	/* The body has returned; below are \other, \one, A, C. */
	UNWIND_HINT type=UNWIND_HINT_TYPE_CALL sp_reg=ORC_REG_SP sp_offset=24
	movq	%rax, %rdi
	popq	%rdx
	popq	%rsi
	call	\handler
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
.Lbody\@:
	pushq	24(%rsp)
	UNWIND_HINT_FUNC
	RET
.endm

	.text

/*
 * bool __seccomp_permit_syscall(void): without seccomp in use the guard answers for good; with it seccomp comes in between, because a tracer may still
 * change the call there (SECCOMP_RET_TRACE), and we judge what is left.
 *
 * Nearly all calls are allowed by number, so that is looked up here: in the table that the domain begins with, for a 64-bit call of a task without seccomp.
 * What is refused by number is refused by evf_on_refused_by_number; what depends on more is looked at by evf_on_native_syscall, and where that does not allow
 * it, or has no say, by the guard. While preemption is off the domain cannot be freed, should another thread of the process give the task a new one.
 * (A wish to reschedule that comes in these instructions is met on the way back to user space, or earlier.)
 */
SYM_FUNC_START(evf_tramp_permit_syscall)
	ENDBR
	movq	PER_CPU_VAR(current_task), %rdi
	EVF_LEAVE_UNMARKED %rdi, .Lpermit_syscall
	cmpl	$0, EVF_SECCOMP_MODE(%rdi)
	jne	.Lask
	testl	$EVF_COMPAT, EVF_STATUS(%rdi)
	jnz	.Lask
	movq	EVF_STACK(%rdi), %rsi
	movl	EVF_STACK_REGS + EVF_REGS_NR(%rsi), %eax
	cmpl	$EVF_BY_NUMBER_CALLS, %eax
	jae	.Lask
	/* Zero for a processor that guesses otherwise: array_index_nospec(). */
	sbbl	%ecx, %ecx
	andl	%ecx, %eax
	incl	PER_CPU_VAR(__preempt_count)
	movq	EVF_SYSCALL_WORK(%rdi), %rdx
	andq	$-EVF_DOMAIN_BYTES, %rdx
	movzwl	(%rdx, %rax, 2), %ecx
	cmpl	$EVF_BY_NUMBER_ALLOW, %ecx
	jne	.Lnot_allowed_by_number
	decl	PER_CPU_VAR(__preempt_count)
	movl	$1, %eax
	/* Drop A. */
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
.Lnot_allowed_by_number:
	testl	%ecx, %ecx
	jnz	.Lrefused_by_number
	movq	%rdx, %rdi
	addq	$EVF_STACK_REGS, %rsi
	call	evf_on_native_syscall
	decl	PER_CPU_VAR(__preempt_count)
	testb	%al, %al
	jz	.Lask
	movl	$1, %eax
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
.Lrefused_by_number:
	decl	PER_CPU_VAR(__preempt_count)
	movl	%ecx, %edi
	call	evf_on_refused_by_number
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
.Lask:
	EVF_GUARD evf_on_permit_syscall, arguments=0
	EVF_INSPECT evf_after_permit_syscall
.Lpermit_syscall:
	RET
SYM_FUNC_END(evf_tramp_permit_syscall)

/* struct filename *do_getname(const char __user *filename, int flags, bool incomplete) */
SYM_FUNC_START(evf_tramp_getname)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Lgetname
	EVF_LEAVE_UNJUDGED EVF_VFS_GETNAME, .Lgetname
	EVF_INSPECT evf_on_getname
.Lgetname:
	RET
SYM_FUNC_END(evf_tramp_getname)

/* struct filename *do_getname_kernel(const char *filename, bool incomplete) */
SYM_FUNC_START(evf_tramp_getname_kernel)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Lgetname_kernel
	EVF_LEAVE_UNJUDGED EVF_VFS_GETNAME, .Lgetname_kernel
	EVF_INSPECT evf_on_getname_kernel
.Lgetname_kernel:
	RET
SYM_FUNC_END(evf_tramp_getname_kernel)

/*
 * int security_task_alloc(struct task_struct *task, u64 clone_flags): the child's word is a copy of the creator's, which owns nothing. It is struck out first:
 * should the function fail, it calls security_task_free itself.
 */
SYM_FUNC_START(evf_tramp_task_alloc)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Ltask_alloc
	andq	$EVF_WALKS - 1, EVF_SYSCALL_WORK(%rdi)
	EVF_INSPECT evf_on_task_alloc
.Ltask_alloc:
	RET
SYM_FUNC_END(evf_tramp_task_alloc)

/*
 * void wake_up_new_task(struct task_struct *p): runs in the creator, before the child does. Most of the time the child has what the creator has: the same domain,
 * and no_new_privs if the creator has it. The barrier is the one of task::adopt, which does the rest.
 */
SYM_FUNC_START(evf_tramp_wake_up_new_task)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Lwake_up_new_task
	lock addl $0, -4(%rsp)
	movq	EVF_ATOMIC_FLAGS(%rdi), %r10
	notq	%r10
	andq	EVF_ATOMIC_FLAGS(%rax), %r10
	testl	$EVF_NO_NEW_PRIVS, %r10d
	jnz	.Ladopt
	movq	EVF_SYSCALL_WORK(%rax), %r10
	xorq	EVF_SYSCALL_WORK(%rdi), %r10
	testq	$-EVF_DOMAIN_BYTES, %r10
	jz	.Lwake_up_new_task
.Ladopt:
	EVF_GUARD evf_on_wake_up_new_task
.Lwake_up_new_task:
	RET
SYM_FUNC_END(evf_tramp_wake_up_new_task)

/* void security_task_free(struct task_struct *task): the mark that counts is the dying task's */
SYM_FUNC_START(evf_tramp_task_free)
	ENDBR
	EVF_LEAVE_UNMARKED %rdi, .Ltask_free
	EVF_GUARD evf_on_task_free
.Ltask_free:
	RET
SYM_FUNC_END(evf_tramp_task_free)

/* void security_bprm_committed_creds(const struct linux_binprm *bprm): the exec has succeeded, the new program does not run yet */
SYM_FUNC_START(evf_tramp_committed_creds)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Lcommitted_creds
	EVF_GUARD evf_on_committed_creds
.Lcommitted_creds:
	RET
SYM_FUNC_END(evf_tramp_committed_creds)

/* int security_ptrace_access_check(struct task_struct *child, unsigned int mode) */
SYM_FUNC_START(evf_tramp_ptrace_access_check)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Lptrace_access_check
	EVF_GUARD evf_on_ptrace_access_check
.Lptrace_access_check:
	RET
SYM_FUNC_END(evf_tramp_ptrace_access_check)

/* int security_ptrace_traceme(struct task_struct *parent): the mark that counts is the tracer-to-be's */
SYM_FUNC_START(evf_tramp_ptrace_traceme)
	ENDBR
	EVF_LEAVE_UNMARKED %rdi, .Lptrace_traceme
	EVF_GUARD evf_on_ptrace_traceme
.Lptrace_traceme:
	RET
SYM_FUNC_END(evf_tramp_ptrace_traceme)

/* int security_task_prctl(int option, unsigned long arg2, ...): for everyone, but only our own option */
SYM_FUNC_START(evf_tramp_task_prctl)
	ENDBR
	cmpl	$EVF_PR_EVFILTER, %edi
	jne	.Ltask_prctl
	EVF_GUARD evf_on_task_prctl
.Ltask_prctl:
	RET
SYM_FUNC_END(evf_tramp_task_prctl)

/* int filename_lookup(int dfd, struct filename *name, unsigned flags, struct path *path, struct path *root) */
SYM_FUNC_START(evf_tramp_filename_lookup)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Lfilename_lookup
	EVF_LEAVE_UNJUDGED EVF_VFS_PICK, .Lfilename_lookup
	EVF_INSPECT evf_on_filename_lookup, %rcx, %rdx
.Lfilename_lookup:
	RET
SYM_FUNC_END(evf_tramp_filename_lookup)

/* int security_inode_permission(struct inode *inode, int mask): for changing to a directory, and for each step of a walk that somebody asks about */
SYM_FUNC_START(evf_tramp_inode_permission)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Linode_permission
	testl	$EVF_MAY_CHDIR, %esi
	jnz	.Lask_inode_permission
	testl	$EVF_WALKS, EVF_SYSCALL_WORK(%rax)
	jz	.Linode_permission
.Lask_inode_permission:
	EVF_GUARD evf_on_inode_permission
.Linode_permission:
	RET
SYM_FUNC_END(evf_tramp_inode_permission)

/* int vfs_open(const struct path *path, struct file *file): only for mere places; security_file_open sees the others */
SYM_FUNC_START(evf_tramp_vfs_open)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Lvfs_open
	testl	$EVF_O_PATH, EVF_FILE_FLAGS(%rsi)
	jz	.Lvfs_open
	EVF_LEAVE_UNJUDGED EVF_VFS_PICK, .Lvfs_open
	EVF_GUARD evf_on_vfs_open
.Lvfs_open:
	RET
SYM_FUNC_END(evf_tramp_vfs_open)

/* Every function of hooks::SHARED */
SYM_FUNC_START(evf_tramp_shared)
	ENDBR
	EVF_LEAVE_CURRENT_UNMARKED .Lshared
	EVF_LEAVE_UNJUDGED (EVF_VFS_PICK | EVF_VFS_WALK | EVF_FD_RECEIVE | EVF_SCOPES), .Lshared
	EVF_GUARD evf_on_shared, shared=1
.Lshared:
	RET
SYM_FUNC_END(evf_tramp_shared)

/* void security_sk_free(struct sock *sk): in whatever task it goes, if any socket has been noted down */
SYM_FUNC_START(evf_tramp_sk_free)
	ENDBR
	cmpl	$0, evf_slots(%rip)
	je	.Lsk_free
	EVF_GUARD evf_on_sk_free
.Lsk_free:
	RET
SYM_FUNC_END(evf_tramp_sk_free)

/*
 * long evf_call(fn, a, b, c, d): fn(a, b, c, d) for a kernel function that is not exported. Entered by a return, because an indirect call would
 * trap on a sealed function under IBT.
 */
SYM_FUNC_START(evf_call)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %rcx
	pushq	%rax
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(evf_call)
