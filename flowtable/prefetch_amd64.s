// SPDX-License-Identifier: Apache-2.0

//go:build !purego

#include "textflag.h"

// func prefetchFirst(tags *uint64, mask uint64, hashes *uint64, n int)
TEXT ·prefetchFirst(SB), NOSPLIT, $0-32
	MOVQ tags+0(FP), AX
	MOVQ mask+8(FP), BX
	MOVQ hashes+16(FP), CX
	MOVQ n+24(FP), DX

first:
	MOVQ       (CX), SI
	ANDQ       BX, SI
	SHLQ       $6, SI
	PREFETCHT0 (AX)(SI*1)
	ADDQ       $8, CX
	DECQ       DX
	JNZ        first
	RET

// func prefetchEntries(pool *uint64, refs *Ref, n int)
TEXT ·prefetchEntries(SB), NOSPLIT, $0-24
	MOVQ pool+0(FP), AX
	MOVQ refs+8(FP), CX
	MOVQ n+16(FP), DX

entries:
	MOVL       (CX), SI
	SHLQ       $7, SI
	PREFETCHT0 -128(AX)(SI*1)
	PREFETCHT0 -64(AX)(SI*1)
	ADDQ       $4, CX
	DECQ       DX
	JNZ        entries
	RET

// func prefetch(p *bucket)
TEXT ·prefetch(SB), NOSPLIT, $0-8
	MOVQ       p+0(FP), AX
	PREFETCHT0 (AX)
	RET
