// SPDX-License-Identifier: Apache-2.0

//go:build !(amd64 || arm64) || purego

package flowtable

// Without assembly nothing is asked for ahead.

func prefetchFirst(*uint64, uint64, *uint64, int) {}

func prefetchEntries(*uint64, *Ref, int) {}

func prefetch(*bucket) {}
