// SPDX-License-Identifier: Apache-2.0

//go:build !purego

#include "textflag.h"

// func prefetchFirst(tags *uint64, mask uint64, hashes *uint64, n int)
TEXT ·prefetchFirst(SB), NOSPLIT, $0-32
	MOVD tags+0(FP), R0
	MOVD mask+8(FP), R1
	MOVD hashes+16(FP), R2
	MOVD n+24(FP), R3

first:
	MOVD.P 8(R2), R4
	AND    R1, R4, R4
	ADD    R4<<6, R0, R4
	PRFM   (R4), PLDL1KEEP
	SUBS   $1, R3, R3
	BNE    first
	RET

// func prefetchEntries(pool *uint64, refs *Ref, n int)
TEXT ·prefetchEntries(SB), NOSPLIT, $0-24
	MOVD pool+0(FP), R0
	MOVD refs+8(FP), R2
	MOVD n+16(FP), R3
	SUB  $128, R0, R0

entries:
	MOVWU.P 4(R2), R4
	ADD     R4<<7, R0, R4
	PRFM    (R4), PLDL1KEEP
	PRFM    64(R4), PLDL1KEEP
	SUBS    $1, R3, R3
	BNE     entries
	RET

// func prefetch(p *bucket)
TEXT ·prefetch(SB), NOSPLIT, $0-8
	MOVD p+0(FP), R0
	PRFM (R0), PLDL1KEEP
	RET
