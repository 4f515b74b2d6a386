package flowtable

//go:noescape
func prefetchTags(tags *uint64, mask uint64, hashes *uint64, n int)

//go:noescape
func prefetchEntries(pool *uint64, refs *Ref, n int)
