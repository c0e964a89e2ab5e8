// The listening sockets of the server. Sockets are accepted on one loop, which hands them on.
//
//   Acceptor acceptor(log, [&](NewSocket socket) { GiveToALoop(std::move(socket)); });
//   Status status = acceptor.Open({{"127.0.0.1", "-::1"}, 6379}, "/run/fluxkv.sock", 0700, 511);
//   acceptor.Start(loop);          // before the loop's thread runs
//
// A running server changes its addresses with Rebind: sockets of addresses that stay are kept, the
// others stop listening first, so that an address may become part of a wider one ("*"); if a new
// one fails, they listen again.
//
// Threads: Open, Start and addresses() on construction; Rebind and addresses() from any, one
//          Rebind at a time; the rest on the loop.
// Owns:    the sockets.
// Errors:  one line that names the address.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <uv.h>

#include "base/log.h"
#include "base/result.h"
#include "server/event_loop.h"

namespace fluxkv::server {

struct TcpAddresses {
  std::vector<std::string> bind;  // as option bind
  int port = 0;                   // 0: none
};

class Acceptor {
 public:
  Acceptor(Logger& log, std::function<void(NewSocket)> take);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  Status Open(const TcpAddresses& tcp, const std::string& unix_path, int unix_permissions,
              int backlog);
  void Start(EventLoop& loop);
  Status Rebind(const TcpAddresses& tcp);
  // "tcp:127.0.0.1:6379", "unix:/tmp/x".
  std::vector<std::string> addresses() const;

  // On the loop: goes on accepting after a pause for want of descriptors; ends it all.
  void OnTick();
  void Close();

 private:
  struct Listener {
    std::string name;
    int fd = -1;
    std::string unix_path;
  };
  struct Watch {
    uv_poll_t poll;
    Acceptor* acceptor;
    Listener listener;
  };

  Result<std::vector<Listener>> OpenNew(const TcpAddresses& tcp,
                                        const std::vector<Listener>& kept) const;
  void StartWatching(const Listener& listener);
  void StopWatching(int fd);
  static void OnReadable(uv_poll_t* poll, int status, int events);
  bool AcceptOne(Watch& watch);
  void PauseAll();

  Logger& log_;
  std::function<void(NewSocket)> take_;
  EventLoop* loop_ = nullptr;
  int backlog_ = 0;

  mutable std::mutex mutex_;
  std::vector<Listener> listeners_;  // guarded by mutex_

  std::vector<Watch*> watches_;  // the loop's; freed by the close callback
  bool paused_ = false;
  bool closed_ = false;
  bool warned_ = false;
};

}  // namespace fluxkv::server
