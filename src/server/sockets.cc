#include "server/sockets.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace fluxkv::server {
namespace {

void SetFlag(int fd, int level, int name, int value) {
  // An option that the kernel refuses leaves the socket usable.
  static_cast<void>(setsockopt(fd, level, name, &value, sizeof(value)));
}

bool ProtocolMissing(int error) {
  return error == ENOPROTOOPT || error == EPROTONOSUPPORT || error == ESOCKTNOSUPPORT ||
         error == EPFNOSUPPORT || error == EAFNOSUPPORT;
}

// A socket that listens on one resolved address, or -1 with errno.
int OpenListening(const addrinfo& at, int backlog) {
  int fd = socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  SetFlag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (at.ai_family == AF_INET6) SetFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (bind(fd, at.ai_addr, at.ai_addrlen) == 0 && listen(fd, backlog) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

// Whether a server answers at the unix socket.
bool SomebodyListens(const sockaddr_un& address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  int done = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  bool listens = done == 0 || errno == EAGAIN;
  close(fd);
  return listens;
}

}  // namespace

Result<std::optional<int>> ListenTcp(const std::string& address, int port, int backlog) {
  bool optional = address.starts_with('-');
  std::string host = optional ? address.substr(1) : address;
  bool six = host.find(':') != std::string::npos;
  bool any = host == "*" || host == "::*";
  addrinfo hints{};
  hints.ai_family = six ? AF_INET6 : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  std::string where = host + ":" + std::to_string(port);
  int failed =
      getaddrinfo(any ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (failed != 0) {
    if (optional) return std::optional<int>();
    return Status::Error("cannot listen on " + where + ": " + gai_strerror(failed));
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    int fd = OpenListening(*at, backlog);
    if (fd >= 0) return std::optional<int>(fd);
    error = errno;
  }
  if ((optional && error == EADDRNOTAVAIL) || ProtocolMissing(error)) return std::optional<int>();
  return Status::Error("cannot listen on " + where + ": " + std::strerror(error));
}

Result<int> ListenUnix(const std::string& path, int permissions, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Status::Error("unix socket path '" + path + "' is too long, at most " +
                         std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  std::string what = "cannot listen on unix socket '" + path + "': ";
  struct stat found;
  if (lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) return Status::Error(what + "the file is there and no socket");
    if (SomebodyListens(address)) return Status::Error(what + std::strerror(EADDRINUSE));
    unlink(path.c_str());
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Status::Error(what + std::strerror(errno));
  bool ok = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
            (permissions == 0 || chmod(path.c_str(), static_cast<mode_t>(permissions)) == 0) &&
            listen(fd, backlog) == 0;
  if (ok) return fd;
  Status status = Status::Error(what + std::strerror(errno));
  close(fd);
  return status;
}

void SetNoDelay(int fd) {
  SetFlag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void SetKeepAlive(int fd, int seconds) {
  if (seconds <= 0) return;
  SetFlag(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetFlag(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  SetFlag(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, seconds / 3));
  SetFlag(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

std::string AddressText(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
    return std::string(text) + ":" + std::to_string(ntohs(in.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof(text));
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(in.sin6_port));
  }
  return "?:0";
}

std::string LocalAddressText(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "?:0";
  return AddressText(address);
}

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
  }
  if (address.ss_family == AF_INET6) {
    const in6_addr& in = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&in)) return in.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&in);
  }
  return address.ss_family == AF_UNIX;
}

}  // namespace fluxkv::server
