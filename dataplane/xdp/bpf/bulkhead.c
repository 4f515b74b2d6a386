// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The kernel's end of a wire: one instance of this program runs on each
// interface. It hands every frame to the socket of its queue, where the
// gateway judges it. It decides by itself only when it must:
//
//   the queue's worker beats           -> redirect to the queue's socket
//   it does not, the queue has no
//   socket, and the gateway beats      -> a fault: drop, counted (QUEUE_UNBOUND)
//   it does not, for any other reason  -> the wire's fail mode: drop, or pass to the peer port
//
// The beats, the lanes and the counters are written by userspace or read by
// it; dataplane/xdp describes them from that side.
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual Apache-2.0 and GPL";

enum {
	MAX_QUEUES = 256, // per interface
	MAX_LANES = 64,	  // ports on one interface, and lane 0: frames of no port

	// Frames of packet memory, 2048 or 4096 bytes, less the headroom of 256.
	SMALL_FRAME = 2048 - 256,
	LARGE_FRAME = 4096 - 256,
};

// Why the program did not hand a frame on. xdp.Cause in Go has the same numbers.
enum cause { QUEUE_UNBOUND, FAIL_CLOSED, FAIL_OPEN, OVERSIZE, NO_LANE, CAUSES };

// Set before the program is loaded.
volatile const __u64 beat_limit_ns; // how old a beat may be
volatile const __u32 large_frames;  // the longest frame that a socket can take: LARGE_FRAME, else SMALL_FRAME
volatile const __u32 whole;	    // 1: one port takes all frames; 0: ports by VLAN

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

// Monotonic nanoseconds of the last beat: at 0 of any worker of the gateway,
// at 1 + queue of the queue's worker. Written through a mapping of the array.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 + MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u64);
} beats SEC(".maps");

// What to do with a frame of a VLAN when nobody beats. One word, so that an
// update is atomic: bits 0-7 number of the lane (0: no port has this VLAN),
// 8-15 open, 16-31 the tag to send with (0: none), 32-63 key in peers.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} lanes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, MAX_LANES);
	__type(key, __u32);
	__type(value, __u32);
} peers SEC(".maps");

// Frames by lane and cause.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_LANES *CAUSES);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct ethernet {
	__u8 dst[6], src[6];
	__u16 type;
} __attribute__((packed));

struct tagged {
	__u8 macs[12];
	__u16 tpid, tci;
} __attribute__((packed));

static __always_inline void count(__u32 lane, enum cause why)
{
	__u32 key = lane * CAUSES + why;
	__u64 *frames = bpf_map_lookup_elem(&counts, &key);
	if (frames)
		++*frames;
}

// Whether the beat in a slot is at most beat_limit_ns old. A beat may be ahead
// of the coarse clock by a tick.
static __always_inline int beating(__u32 slot, __u64 now)
{
	__u64 *beat = bpf_map_lookup_elem(&beats, &slot);
	return beat && *(volatile __u64 *)beat + beat_limit_ns >= now;
}

static __always_inline int is_tag(__u16 type)
{
	return type == be16(ETH_P_8021Q); // a port's VLAN is an 802.1Q one
}

// The VID by which a frame is sorted into lanes: 0 for all frames of an
// interface that one port takes whole, else that of the outermost tag.
static __always_inline __u32 vid_of(struct xdp_md *ctx)
{
	struct tagged *t = (void *)(long)ctx->data;
	if (whole || (void *)(t + 1) > (void *)(long)ctx->data_end || !is_tag(t->tpid))
		return 0;
	return be16(t->tci) & VLAN_VID_MASK;
}

static __always_inline __u64 lane_of(struct xdp_md *ctx)
{
	__u32 vid = vid_of(ctx);
	__u64 *lane = bpf_map_lookup_elem(&lanes, &vid);
	return lane ? *lane : 0;
}

static __always_inline int rewrite_tag(struct xdp_md *ctx, __u32 vid)
{
	struct tagged *t = (void *)(long)ctx->data;
	if ((void *)(t + 1) > (void *)(long)ctx->data_end)
		return -1;
	t->tci = be16((be16(t->tci) & ~VLAN_VID_MASK) | vid);
	return 0;
}

static __always_inline int push_tag(struct xdp_md *ctx, __u32 vid)
{
	if (bpf_xdp_adjust_head(ctx, -4))
		return -1;
	__u8 *p = (void *)(long)ctx->data;
	if (p + ETH_HLEN + 4 > (__u8 *)(long)ctx->data_end)
		return -1;
	__builtin_memmove(p, p + 4, 12);
	struct tagged *t = (void *)p;
	t->tpid = be16(ETH_P_8021Q);
	t->tci = be16(vid);
	return 0;
}

static __always_inline int pop_tag(struct xdp_md *ctx)
{
	__u8 *p = (void *)(long)ctx->data;
	if (p + ETH_HLEN + 4 > (__u8 *)(long)ctx->data_end)
		return -1;
	__u8 macs[12];
	__builtin_memcpy(macs, p, 12);
	__builtin_memcpy(p + 4, macs, 12);
	return bpf_xdp_adjust_head(ctx, 4) ? -1 : 0;
}

// The tag that the peer port wants, made of the tag that the frame came with.
static __always_inline int retag(struct xdp_md *ctx, __u32 vid)
{
	if (whole)
		return vid ? push_tag(ctx, vid) : 0;
	return vid ? rewrite_tag(ctx, vid) : pop_tag(ctx);
}

// Nobody judges: what the wire's configuration says.
static __always_inline int fail(struct xdp_md *ctx)
{
	__u64 lane = lane_of(ctx);
	__u32 number = lane & 0xff;
	if (!number || number >= MAX_LANES) {
		count(0, NO_LANE);
		return XDP_DROP;
	}
	if (!(lane >> 8 & 0xff) || retag(ctx, lane >> 16 & VLAN_VID_MASK)) {
		count(number, FAIL_CLOSED);
		return XDP_DROP;
	}
	long verdict = bpf_redirect_map(&peers, lane >> 32, XDP_DROP);
	count(number, verdict == XDP_REDIRECT ? FAIL_OPEN : FAIL_CLOSED);
	return verdict;
}

static __always_inline int refuse(struct xdp_md *ctx, enum cause why)
{
	__u32 number = lane_of(ctx) & 0xff;
	count(number < MAX_LANES ? number : 0, why);
	return XDP_DROP;
}

// Whether the frame is too long for packet memory. Only a constant may be added
// to the pointer, since the loader has no CAP_PERFMON; left to itself, clang
// makes one addition of the two, of a variable.
static __always_inline int oversize(struct xdp_md *ctx)
{
	void *last = (void *)(long)ctx->data;
	if (large_frames)
		asm volatile("%0 += %1" : "+r"(last) : "i"(LARGE_FRAME));
	else
		asm volatile("%0 += %1" : "+r"(last) : "i"(SMALL_FRAME));
	return last < (void *)(long)ctx->data_end;
}

// A queue without a socket is a fault as long as the gateway lives.
static __always_inline int unbound(struct xdp_md *ctx, __u32 queue, __u64 now)
{
	return !bpf_map_lookup_elem(&sockets, &queue) && beating(0, now);
}

SEC("xdp")
int bulkhead(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	__u64 now = bpf_ktime_get_coarse_ns();

	if (beating(1 + queue, now)) {
		if (oversize(ctx))
			return refuse(ctx, OVERSIZE);
		if (bpf_redirect_map(&sockets, queue, XDP_DROP) == XDP_REDIRECT)
			return XDP_REDIRECT;
		return refuse(ctx, QUEUE_UNBOUND);
	}
	if (unbound(ctx, queue, now))
		return refuse(ctx, QUEUE_UNBOUND);
	return fail(ctx);
}
