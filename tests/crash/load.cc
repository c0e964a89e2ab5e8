#include "tests/crash/load.h"

#include <stdexcept>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>

#include "tests/wire/client.h"

namespace fluxkv::crash {

namespace {
constexpr int kPollMs = 100;
constexpr size_t kReadBytes = 256 * 1024;
}  // namespace

struct Load::Seat {
  Seat(int port, Owner& o) : client(port), owner(o) {}

  wire::Client client;
  Owner& owner;
  std::string buffer;
  bool open = true;
  bool waiting = false;  // for replies
};

Load::Load(int port, const Owners& owners, size_t threads) : owners_(owners) {
  std::vector<std::vector<std::unique_ptr<Seat>>> seats(threads);
  for (size_t i = 0; i < owners.size(); ++i) {
    owners[i]->Connected();
    seats[i % threads].push_back(std::make_unique<Seat>(port, *owners[i]));
  }
  for (auto& of_thread : seats)
    threads_.emplace_back([this, mine = std::move(of_thread)]() mutable { Run(std::move(mine)); });
}

void Load::End() {
  end_.store(true);
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

// Receives what there is, and sends the next pipeline when the last one is answered.
void Load::Serve(Seat& seat) {
  const size_t before = seat.buffer.size();
  seat.buffer.resize(before + kReadBytes);
  const ssize_t got = recv(seat.client.fd(), seat.buffer.data() + before, kReadBytes, 0);
  seat.buffer.resize(before + static_cast<size_t>(got > 0 ? got : 0));
  size_t at = 0;
  Reply reply;
  while (seat.waiting && at < seat.buffer.size() &&
         isolation::ParseReply(seat.buffer, &at, &reply)) {
    seat.waiting = !seat.owner.Take(reply);
  }
  seat.buffer.erase(0, at);
  seat.open = got > 0;
}

void Load::Run(std::vector<std::unique_ptr<Seat>> seats) {
  std::vector<pollfd> fds(seats.size());
  for (;;) {
    size_t active = 0;
    for (size_t i = 0; i < seats.size(); ++i) {
      Seat& seat = *seats[i];
      if (!seat.owner.error().empty()) seat.open = false;
      if (seat.open && !seat.waiting && !end_.load()) {
        seat.waiting = true;
        try {
          seat.client.Send(seat.owner.NextRequests(owners_));
        } catch (const std::runtime_error&) {
          seat.open = false;  // the server has gone
        }
      }
      const bool active_seat = seat.open && seat.waiting;
      active += active_seat;
      fds[i] = {active_seat ? seat.client.fd() : -1, POLLIN, 0};
    }
    if (active == 0) break;
    if (poll(fds.data(), fds.size(), kPollMs) <= 0) continue;
    for (size_t i = 0; i < seats.size(); ++i) {
      if (fds[i].fd >= 0 && fds[i].revents != 0) Serve(*seats[i]);
    }
  }
  std::lock_guard lock(mutex_);
  for (const auto& seat : seats) {
    if (problem_.empty()) problem_ = seat->owner.error();
  }
}

}  // namespace fluxkv::crash
