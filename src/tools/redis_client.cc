#include "tools/redis_client.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/parse.h"

namespace fluxkv::tools {
namespace {

constexpr size_t kReceiveBytes = 64 * 1024;

Status SystemError(const std::string& what) {
  return Status::Error(what + ": " + std::strerror(errno));
}

Result<int> ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Status::Error("the socket's path is too long: " + path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return SystemError("no socket");
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  Status status = SystemError("cannot connect to " + path);
  close(fd);
  return status;
}

// The first of the host's addresses that answers.
Result<int> ConnectTcp(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (code != 0) {
    return Status::Error("no address for " + host + " port " + port + ": " + gai_strerror(code));
  }
  int fd = -1;
  for (addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
    fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
      int reason = errno;
      close(fd);
      errno = reason;
      fd = -1;
    }
  }
  int reason = errno;
  freeaddrinfo(found);
  errno = reason;
  if (fd < 0) return SystemError("cannot connect to " + host + " port " + port);
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

// Where the line that begins at `start` ends, npos when it is not whole yet.
size_t LineEnd(const std::string& bytes, size_t start) {
  return bytes.find("\r\n", start);
}

}  // namespace

void AppendBulkHeader(std::string& out, size_t bytes) {
  out += '$';
  out += std::to_string(bytes);
  out += "\r\n";
}

void AppendCommand(std::string& out, std::initializer_list<std::string_view> arguments) {
  out += '*';
  out += std::to_string(arguments.size());
  out += "\r\n";
  for (std::string_view argument : arguments) {
    AppendBulkHeader(out, argument.size());
    out += argument;
    out += "\r\n";
  }
}

Result<std::unique_ptr<RedisClient>> RedisClient::Connect(const Address& address) {
  Result<int> fd = address.socket_path.empty() ? ConnectTcp(address.host, address.port)
                                               : ConnectUnix(address.socket_path);
  if (!fd.ok()) return std::move(fd).status();
  return std::make_unique<RedisClient>(fd.value());
}

RedisClient::RedisClient(int fd) : fd_(fd) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

RedisClient::~RedisClient() {
  close(fd_);
}

Status RedisClient::Wait(bool to_write, bool* readable) {
  pollfd waited{fd_, static_cast<short>(to_write ? POLLIN | POLLOUT : POLLIN), 0};
  int count = 0;
  do {
    count = poll(&waited, 1, kSilentSecondsMax * 1000);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return SystemError("the connection broke");
  if (count == 0) {
    return Status::Error("the server has been silent for " + std::to_string(kSilentSecondsMax) +
                         " s");
  }
  *readable = (waited.revents & ~POLLOUT) != 0;
  return {};
}

Status RedisClient::Receive() {
  arrived_.erase(0, read_bytes_);
  read_bytes_ = 0;
  size_t held_bytes = arrived_.size();
  arrived_.resize(held_bytes + kReceiveBytes);
  ssize_t count = recv(fd_, arrived_.data() + held_bytes, kReceiveBytes, 0);
  int reason = errno;
  arrived_.resize(held_bytes + (count > 0 ? static_cast<size_t>(count) : 0));
  if (count > 0 || (count < 0 && (reason == EAGAIN || reason == EINTR))) return {};
  if (count == 0) return Status::Error("the server closed the connection");
  errno = reason;
  return SystemError("the connection broke");
}

Status RedisClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return SystemError("the connection broke");
    bool readable = false;
    Status status = Wait(/*to_write=*/true, &readable);
    if (status.ok() && readable) status = Receive();
    if (!status.ok()) return status;
  }
  return {};
}

Result<RedisClient::Reply> RedisClient::Read() {
  size_t end = 0;
  while ((end = LineEnd(arrived_, read_bytes_)) == std::string::npos) {
    if (arrived_.size() - read_bytes_ > kLineBytesMax) {
      return Status::Error("the reply is longer than any of a Redis server");
    }
    bool readable = false;
    Status status = Wait(/*to_write=*/false, &readable);
    if (status.ok()) status = Receive();
    if (!status.ok()) return status;
  }
  std::string_view line = std::string_view(arrived_).substr(read_bytes_, end - read_bytes_);
  read_bytes_ = end + 2;
  if (line == "$-1" || line == "*-1" || line == "_") return Reply{Reply::Kind::kNil, {}};
  switch (line.empty() ? '\0' : line[0]) {
    case '+':
      return Reply{Reply::Kind::kStatus, line.substr(1)};
    case '-':
      return Reply{Reply::Kind::kError, line.substr(1)};
    case ':':
      return Reply{Reply::Kind::kInteger, line.substr(1)};
    default:
      return Status::Error("the reply is none of a Redis server: " +
                           QuoteBytes(line.substr(0, 40)));
  }
}

Result<RedisClient::Reply> RedisClient::Call(std::initializer_list<std::string_view> arguments) {
  std::string request;
  AppendCommand(request, arguments);
  Status status = Send(request);
  if (!status.ok()) return status;
  return Read();
}

}  // namespace fluxkv::tools
