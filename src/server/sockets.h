// Sockets by hand: listening ones, options of accepted ones, addresses as text.
//
//   auto fd = ListenTcp("127.0.0.1", 6379, 511);
//   if (!fd.ok()) return std::move(fd).status();
//
// Threads: plain functions.
// Owns:    a returned descriptor is the caller's.
// Errors:  one line that names the address and the cause.
#pragma once

#include <optional>
#include <string>

#include <sys/socket.h>

#include "base/result.h"

namespace fluxkv::server {

// Listens on one address: IPv4, IPv6 (by its ':'), a host name, "*" or "::*". A leading '-' lets
// the address be missing from this machine: nothing is returned then, as for a protocol that the
// kernel has not.
Result<std::optional<int>> ListenTcp(const std::string& address, int port, int backlog);

// Listens on a unix socket. A file of that name that is a socket nobody listens on is removed
// first. `permissions` 0: as the umask says.
Result<int> ListenUnix(const std::string& path, int permissions, int backlog);

void SetNoDelay(int fd);
// Probes after `seconds` of silence, as Redis sets it; 0: none.
void SetKeepAlive(int fd, int seconds);

// "127.0.0.1:1234", "[::1]:1234".
std::string AddressText(const sockaddr_storage& address);
// The same of this end of a connection.
std::string LocalAddressText(int fd);
bool IsLoopback(const sockaddr_storage& address);

}  // namespace fluxkv::server
