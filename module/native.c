// SPDX-License-Identifier: GPL-2.0
/* Handing eBPF to the kernel's JIT. In C for struct bpf_prog. The type stays BPF_PROG_TYPE_UNSPEC: for the JIT these are classic programs, from whoever may load them. */
#include <linux/bpf.h>
#include <linux/filter.h>
#include "shim.h"

/* A program of @insns instructions, which the caller fills in; NULL without memory, or if the JIT is off. */
struct bpf_prog *evf_native_alloc(unsigned int insns, unsigned int stack, struct bpf_insn **to)
{
	struct bpf_prog *prog = bpf_prog_alloc(bpf_prog_size(insns), __GFP_ACCOUNT | __GFP_NOWARN);

	if (!prog)
		return NULL;
	if (!prog->jit_requested) {
		bpf_prog_free(prog);
		return NULL;
	}
	prog->len = insns;
	prog->aux->stack_depth = stack;
	*to = prog->insnsi;
	return prog;
}

/* Whether the JIT is on. */
bool evf_native_serves(void)
{
	struct bpf_prog *prog = bpf_prog_alloc(bpf_prog_size(1), __GFP_ACCOUNT | __GFP_NOWARN);
	bool serves = prog && prog->jit_requested;

	if (prog)
		bpf_prog_free(prog);
	return serves;
}

/* The program as machine code, or NULL if the JIT refuses; the program is gone then. */
struct bpf_prog *evf_native_compile(struct bpf_prog *prog, unsigned int (**code)(const void *ctx, const struct bpf_insn *insns))
{
	int error;

	prog = bpf_prog_select_runtime(prog, &error);
	if (error || !prog->jited) {
		bpf_prog_free(prog);
		return NULL;
	}
	*code = prog->bpf_func;
	return prog;
}

/* How a program calls @function. */
long evf_native_call(unsigned long function)
{
	return (long)function - (long)__bpf_call_base;
}
