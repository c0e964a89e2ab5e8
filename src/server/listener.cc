#include "server/listener.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <unistd.h>

#include "server/sockets.h"

namespace fluxkv::server {
namespace {

constexpr int kAcceptsPerTurnMax = 128;

std::string TcpName(const std::string& address, int port) {
  std::string_view host = address;
  if (host.starts_with('-')) host.remove_prefix(1);
  bool six = host.find(':') != std::string_view::npos;
  return "tcp:" + (six ? "[" + std::string(host) + "]" : std::string(host)) + ":" +
         std::to_string(port);
}

}  // namespace

Acceptor::Acceptor(Logger& log, std::function<void(NewSocket)> take)
    : log_(log), take_(std::move(take)) {}

Acceptor::~Acceptor() {
  for (const Listener& listener : listeners_) {  // not closed by the loop
    close(listener.fd);
    if (!listener.unix_path.empty()) unlink(listener.unix_path.c_str());
  }
}

Result<std::vector<Acceptor::Listener>> Acceptor::OpenNew(const TcpAddresses& tcp,
                                                          const std::vector<Listener>& kept) const {
  std::vector<Listener> opened;
  if (tcp.port == 0) return opened;
  for (const std::string& address : tcp.bind) {
    std::string name = TcpName(address, tcp.port);
    auto same = [&](const Listener& l) { return l.name == name; };
    if (std::any_of(kept.begin(), kept.end(), same)) continue;
    if (std::any_of(opened.begin(), opened.end(), same)) continue;
    auto fd = ListenTcp(address, tcp.port, backlog_);
    if (!fd.ok()) {
      for (const Listener& listener : opened) close(listener.fd);
      return std::move(fd).status();
    }
    if (fd.value()) opened.push_back({name, *fd.value(), ""});
  }
  return opened;
}

Status Acceptor::Open(const TcpAddresses& tcp, const std::string& unix_path, int unix_permissions,
                      int backlog) {
  backlog_ = backlog;
  auto opened = OpenNew(tcp, {});
  if (!opened.ok()) return std::move(opened).status();
  listeners_ = std::move(opened.value());
  if (tcp.port != 0 && !tcp.bind.empty() && listeners_.empty()) {
    return Status::Error("cannot listen on port " + std::to_string(tcp.port) +
                         ": none of the addresses of bind is there");
  }
  if (!unix_path.empty()) {
    auto fd = ListenUnix(unix_path, unix_permissions, backlog);
    if (!fd.ok()) return std::move(fd).status();
    listeners_.push_back({"unix:" + unix_path, fd.value(), unix_path});
  }
  if (listeners_.empty()) {
    return Status::Error("nothing to listen on: port is 0 and unixsocket is empty");
  }
  return {};
}

void Acceptor::Start(EventLoop& loop) {
  loop_ = &loop;
  for (const Listener& listener : listeners_) StartWatching(listener);
}

std::vector<std::string> Acceptor::addresses() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const Listener& listener : listeners_) names.push_back(listener.name);
  return names;
}

Status Acceptor::Rebind(const TcpAddresses& tcp) {
  std::lock_guard lock(mutex_);
  std::vector<Listener> kept;
  std::vector<Listener> retired;
  for (const Listener& listener : listeners_) {
    bool stays = !listener.unix_path.empty() ||
                 (tcp.port != 0 && std::any_of(tcp.bind.begin(), tcp.bind.end(), [&](auto& a) {
                    return TcpName(a, tcp.port) == listener.name;
                  }));
    (stays ? kept : retired).push_back(listener);
  }
  // A socket that was shut down no longer listens, but keeps its address and may listen again.
  for (const Listener& listener : retired) shutdown(listener.fd, SHUT_RD);
  auto opened = OpenNew(tcp, kept);
  if (!opened.ok()) {
    log_.Warning("{}", opened.message());
    for (const Listener& listener : retired) {
      if (listen(listener.fd, backlog_) == 0) continue;
      log_.Warning("cannot listen on {} again: {}", listener.name, std::strerror(errno));
    }
    return std::move(opened).status();
  }
  listeners_ = kept;
  listeners_.insert(listeners_.end(), opened.value().begin(), opened.value().end());
  bool taken = loop_->RunTask([this, retired, fresh = opened.value()] {
    for (const Listener& listener : retired) StopWatching(listener.fd);
    for (const Listener& listener : fresh) StartWatching(listener);
  });
  if (!taken) return Status::Error("the server is stopping");
  return {};
}

// ---- On the loop

void Acceptor::StartWatching(const Listener& listener) {
  if (closed_) return;
  auto* watch = new Watch{{}, this, listener};
  watch->poll.data = watch;
  if (uv_poll_init(loop_->uv(), &watch->poll, listener.fd) != 0) {
    log_.Warning("cannot watch {}", listener.name);
    delete watch;
    return;
  }
  watches_.push_back(watch);
  if (!paused_) uv_poll_start(&watch->poll, UV_READABLE, &OnReadable);
}

void Acceptor::StopWatching(int fd) {
  for (size_t i = 0; i < watches_.size(); ++i) {
    Watch* watch = watches_[i];
    if (watch->listener.fd != fd) continue;
    watches_.erase(watches_.begin() + static_cast<ptrdiff_t>(i));
    uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll),
             [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
    close(fd);
    return;
  }
}

void Acceptor::Close() {
  std::lock_guard lock(mutex_);
  if (std::exchange(closed_, true)) return;
  for (const Listener& listener : listeners_) {
    if (!listener.unix_path.empty()) unlink(listener.unix_path.c_str());
  }
  listeners_.clear();
  while (!watches_.empty()) StopWatching(watches_.back()->listener.fd);
}

void Acceptor::OnTick() {
  paused_ = false;
  // libuv stops watching a socket that has an error; one that was shut down for a moment is
  // watched again here.
  for (Watch* watch : watches_) {
    if (!uv_is_active(reinterpret_cast<uv_handle_t*>(&watch->poll))) {
      uv_poll_start(&watch->poll, UV_READABLE, &OnReadable);
    }
  }
}

void Acceptor::PauseAll() {
  paused_ = true;
  for (Watch* watch : watches_) uv_poll_stop(&watch->poll);
}

void Acceptor::OnReadable(uv_poll_t* poll, int status, int) {
  auto& watch = *static_cast<Watch*>(poll->data);
  if (status != 0) {
    uv_poll_stop(poll);
    return;
  }
  for (int i = 0; i < kAcceptsPerTurnMax && watch.acceptor->AcceptOne(watch); ++i) {
  }
}

bool Acceptor::AcceptOne(Watch& watch) {
  NewSocket socket;
  socket.unix_socket = !watch.listener.unix_path.empty();
  socket.unix_path = watch.listener.unix_path;
  socklen_t size = sizeof(socket.peer);
  socket.fd = accept4(watch.listener.fd, reinterpret_cast<sockaddr*>(&socket.peer), &size,
                      SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (socket.fd >= 0) {
    warned_ = false;
    take_(std::move(socket));
    return true;
  }
  switch (errno) {
    case ECONNABORTED:
    case EINTR:
      return true;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      if (!std::exchange(warned_, true)) {
        log_.Warning("Accepting client connection: {}", std::strerror(errno));
      }
      PauseAll();
      return false;
    case EAGAIN:
      return false;
    default:  // shut down by Rebind, until it is closed or listens again
      uv_poll_stop(&watch.poll);
      return false;
  }
}

}  // namespace fluxkv::server
