/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "procfs.h"

// A table of more lines than this is not read to its end: the process is waiting for us.
#define TABLE_LINES 200000

// include/net/tcp_states.h.
static const char *const tcp_states[] = {
	[1] = "ESTABLISHED", [2] = "SYN_SENT",	[3] = "SYN_RECV",   [4] = "FIN_WAIT1",
	[5] = "FIN_WAIT2",   [6] = "TIME_WAIT", [7] = "CLOSE",	    [8] = "CLOSE_WAIT",
	[9] = "LAST_ACK",    [10] = "LISTEN",	[11] = "CLOSING",   [12] = "NEW_SYN_RECV",
};

// include/uapi/linux/net.h, socket_state.
static const char *const unix_states[] = { "FREE", "UNCONNECTED", "CONNECTING", "CONNECTED",
					   "DISCONNECTING" };

struct lookup {
	struct snapshot *snapshot;
	struct fd **wanted; /* sockets not yet found */
	uint64_t *inodes;
	size_t n;
};

static const char *state_name(const char *const *names, size_t n, unsigned state)
{
	return state < n ? names[state] : NULL;
}

static char *copy(struct snapshot *snapshot, const char *s)
{
	return s ? arena_strdup(&snapshot->arena, s) : NULL;
}

static char *address_text(struct snapshot *snapshot, const void *address, bool v6, unsigned port)
{
	char text[INET6_ADDRSTRLEN];
	const uint8_t *b = address;

	if (v6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address)) {
		b += 12;
		v6 = false;
	}
	if (!inet_ntop(v6 ? AF_INET6 : AF_INET, b, text, sizeof(text)))
		return NULL;
	return arena_printf(&snapshot->arena, v6 ? "[%s]:%u" : "%s:%u", text, port);
}

// "0100007F:1F90": 32-bit words in host order each, then the port.
static char *parse_address(struct snapshot *snapshot, const char *text, bool v6)
{
	uint32_t words[4] = {};
	unsigned port;
	int n = v6 ? 4 : 1;

	for (int i = 0; i < n; i++, text += 8)
		if (sscanf(text, "%8" SCNx32, &words[i]) != 1)
			return NULL;
	if (sscanf(text, ":%4x", &port) != 1)
		return NULL;
	return address_text(snapshot, words, v6, port);
}

// The wanted fd with INODE, taken off the list.
static struct fd *take(struct lookup *l, uint64_t inode)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->inodes[i] != inode)
			continue;
		struct fd *fd = l->wanted[i];
		l->n--;
		l->inodes[i] = l->inodes[l->n];
		l->wanted[i] = l->wanted[l->n];
		return fd;
	}
	return NULL;
}

// proc(5), /proc/net/tcp: "sl local rem st tx:rx tr:tm retr uid timeout inode"
static void inet_line(struct lookup *l, const char *line, bool v6, bool stream)
{
	char local[64], remote[64];
	unsigned state;
	uint64_t inode;

	if (sscanf(line, " %*d: %63s %63s %x %*s %*s %*s %*s %*s %" SCNu64, local, remote, &state,
		   &inode) != 4 || !inode)
		return;
	struct fd *fd = take(l, inode);
	if (!fd)
		return;
	fd->socket.family = copy(l->snapshot, v6 ? "inet6" : "inet");
	fd->socket.type = copy(l->snapshot, stream ? "stream" : "dgram");
	fd->socket.local = parse_address(l->snapshot, local, v6);
	bool peer = strncmp(remote, "00000000", 8) != 0 || !strstr(remote, ":0000");
	if (peer)
		fd->socket.peer = parse_address(l->snapshot, remote, v6);
	if (stream)
		fd->socket.state =
			copy(l->snapshot, state_name(tcp_states, ARRAY_SIZE(tcp_states), state));
}

// proc(5), /proc/net/unix: "Num: RefCount Protocol Flags Type St Inode Path"
static void unix_line(struct lookup *l, const char *line)
{
	unsigned type, state;
	uint64_t inode;
	int path = 0;

	if (sscanf(line, "%*x: %*x %*x %*x %x %x %" SCNu64 " %n", &type, &state, &inode, &path) != 3)
		return;
	struct fd *fd = take(l, inode);
	if (!fd)
		return;
	fd->socket.family = copy(l->snapshot, "unix");
	fd->socket.type = copy(l->snapshot, type == SOCK_STREAM	     ? "stream"
					    : type == SOCK_DGRAM     ? "dgram"
					    : type == SOCK_SEQPACKET ? "seqpacket"
								     : NULL);
	fd->socket.state = copy(l->snapshot, state_name(unix_states, ARRAY_SIZE(unix_states), state));
	if (path && line[path]) {
		_cleanup_(buf_deinit) struct buf buf = {};

		buf_clean(&buf, line + path, strcspn(line + path, "\n"), "");
		if (!buf.failed)
			fd->socket.local = arena_strndup(&l->snapshot->arena, (char *)buf.data, buf.len);
	}
}

static void read_table(struct lookup *l, int proc_dir, const char *name)
{
	char path[32], line[1024];

	if (!l->n)
		return;
	snprintf(path, sizeof(path), "net/%s", name);
	int fd = openat(proc_dir, path, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		closep(&fd);
		return;
	}
	for (int i = 0; i < TABLE_LINES && l->n && fgets(line, sizeof(line), f); i++) {
		if (!strcmp(name, "unix"))
			unix_line(l, line);
		else
			inet_line(l, line, name[3] == '6', name[0] == 't');
	}
	fclose(f);
}

static char *sockaddr_text(struct snapshot *snapshot, const struct sockaddr_storage *ss, socklen_t len)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_un *un = (const void *)ss;

	if (ss->ss_family == AF_INET && len >= sizeof(*in))
		return address_text(snapshot, &in->sin_addr, false, ntohs(in->sin_port));
	if (ss->ss_family == AF_INET6 && len >= sizeof(*in6))
		return address_text(snapshot, &in6->sin6_addr, true, ntohs(in6->sin6_port));
	size_t path = offsetof(struct sockaddr_un, sun_path);
	if (ss->ss_family != AF_UNIX || len <= path)
		return NULL;
	_cleanup_(buf_deinit) struct buf buf = {};
	if (!un->sun_path[0])
		buf_addstr(&buf, "@");
	size_t skip = un->sun_path[0] == 0;
	buf_clean(&buf, un->sun_path + skip, strnlen(un->sun_path + skip, len - path - skip), "");
	return buf.failed ? NULL : arena_strndup(&snapshot->arena, (char *)buf.data, buf.len);
}

/*
 * A socket that its tables do not list any more, after a reset for one, still answers for itself.
 * SO_PEERNAME remembers the peer where getpeername() does not: for IPv4 when asked for 16 bytes.
 */
static void ask_socket(struct snapshot *snapshot, int pidfd, struct fd *fd)
{
#ifdef SYS_pidfd_getfd
	_cleanup_(closep) int dup = (int)syscall(SYS_pidfd_getfd, pidfd, fd->fd, 0);
	struct sockaddr_storage ss = {};
	socklen_t len = sizeof(int);
	int domain = 0, type = 0;

	if (dup < 0 || getsockopt(dup, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return;
	len = sizeof(type);
	getsockopt(dup, SOL_SOCKET, SO_TYPE, &type, &len);
	if (!fd->socket.family)
		fd->socket.family = copy(snapshot, domain == AF_INET	? "inet"
						   : domain == AF_INET6 ? "inet6"
						   : domain == AF_UNIX	? "unix"
									: NULL);
	if (!fd->socket.type)
		fd->socket.type = copy(snapshot, type == SOCK_STREAM ? "stream"
						 : type == SOCK_DGRAM ? "dgram"
								      : NULL);
	len = sizeof(ss);
	if (!fd->socket.local && getsockname(dup, (struct sockaddr *)&ss, &len) == 0)
		fd->socket.local = sockaddr_text(snapshot, &ss, len);
	len = sizeof(ss);
	if (!fd->socket.peer && getpeername(dup, (struct sockaddr *)&ss, &len) == 0)
		fd->socket.peer = sockaddr_text(snapshot, &ss, len);
	len = domain == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (!fd->socket.peer && (domain == AF_INET || domain == AF_INET6) &&
	    getsockopt(dup, SOL_SOCKET, SO_PEERNAME, &ss, &len) == 0)
		fd->socket.peer = sockaddr_text(snapshot, &ss, len);
	struct tcp_info info = {};
	len = sizeof(info);
	if (!fd->socket.state && type == SOCK_STREAM && (domain == AF_INET || domain == AF_INET6) &&
	    getsockopt(dup, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
		fd->socket.state = copy(snapshot, state_name(tcp_states, ARRAY_SIZE(tcp_states),
							     info.tcpi_state));
#else
	(void)snapshot;
	(void)pidfd;
	(void)fd;
#endif
}

struct error *procfs_sockets(struct snapshot *snapshot, int proc_dir, int pidfd, int only_fd)
{
	struct process *p = &snapshot->process;
	_cleanup_(freep) struct fd **wanted = calloc(p->fds.n + 1, sizeof(*wanted));
	_cleanup_(freep) uint64_t *inodes = calloc(p->fds.n + 1, sizeof(*inodes));
	struct lookup l = { .snapshot = snapshot, .wanted = wanted, .inodes = inodes };
	static const char *const tables[] = { "tcp", "tcp6", "unix", "udp", "udp6" };

	if (!wanted || !inodes)
		return error_nomem();
	for (size_t i = 0; i < p->fds.n; i++) {
		struct fd *fd = &p->fds.v[i];

		if (!fd->is_socket || fd->socket.family || (only_fd >= 0 && fd->fd != only_fd))
			continue;
		wanted[l.n] = fd;
		inodes[l.n++] = strtoull(fd->target + strlen("socket:["), NULL, 10);
	}
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		read_table(&l, proc_dir, tables[i]);
	for (size_t i = 0; pidfd >= 0 && i < l.n; i++)
		ask_socket(snapshot, pidfd, l.wanted[i]);
	// The one that a signal is about is worth asking in any case: the tables do not name every peer.
	for (size_t i = 0; pidfd >= 0 && only_fd >= 0 && i < p->fds.n; i++)
		if (p->fds.v[i].fd == only_fd && p->fds.v[i].is_socket && !p->fds.v[i].socket.peer)
			ask_socket(snapshot, pidfd, &p->fds.v[i]);
	return NULL;
}
