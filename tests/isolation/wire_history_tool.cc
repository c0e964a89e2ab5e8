// Goal: what clients of a server see of a few hot keys is strictly serializable: MULTI/EXEC with
// declared and undeclared reads, WATCH, transactions of BEGIN, and single commands of one key and
// of several. With --level snapshot those of BEGIN are at that level: nothing but write skew and
// its relatives may appear, and they must.
// Method: clients over the wire, several a thread, each with one request under way; every value is
// a list of unique tokens (wire_lists.h). After each round of some seconds the history is checked.
// Exit code 1 and the cycle on an anomaly, an error reply or a server that ends badly.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/isolation/tool_arguments.h"
#include "tests/isolation/wire_lists.h"
#include "tests/wire/server_process.h"

namespace fluxkv::isolation {
namespace {

constexpr int64_t kRoundNs = 3'000'000'000;
constexpr size_t kRoundTransactionsMax = 20'000;  // of one client
constexpr size_t kThreads = 2;
constexpr int kSilentMs = 20'000;

class Connection {
 public:
  explicit Connection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
      throw std::runtime_error("cannot connect");
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  // Requests are short: the socket's buffer takes them.
  void Send(const std::string& bytes) {
    if (send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
      throw std::runtime_error("the server has closed a connection");
  }
  void Receive() {
    char bytes[16384];
    const ssize_t n = recv(fd_, bytes, sizeof(bytes), 0);
    if (n <= 0) throw std::runtime_error("the server has closed a connection");
    buffer_.append(bytes, static_cast<size_t>(n));
  }
  bool Next(Reply* reply) {
    size_t at = 0;
    if (buffer_.empty() || !ParseReply(buffer_, &at, reply)) return false;
    buffer_.erase(0, at);
    return true;
  }
  // One command, its reply ignored but for errors.
  void Do(const std::vector<std::string>& arguments) {
    Send(EncodeCommand(arguments));
    Reply reply;
    while (!Next(&reply)) Receive();
    if (reply.type == '-') throw std::runtime_error(arguments[0] + ": " + reply.text);
  }

 private:
  const int fd_;
  std::string buffer_;
};

struct Seat {
  explicit Seat(int port) : connection(port) {}
  Connection connection;
  std::unique_ptr<WireClient> client;
  bool waiting = false;  // a request is under way
};

// Serves some clients until the time is over and all replies have come.
void RunClients(std::vector<Seat*> seats, int64_t until) {
  std::vector<pollfd> fds(seats.size());
  for (Seat* seat : seats) {
    seat->connection.Send(seat->client->NextRequest(MonotonicNs()));
    seat->waiting = true;
  }
  for (;;) {
    size_t waiting = 0;
    for (size_t i = 0; i < seats.size(); ++i) {
      fds[i] = {seats[i]->waiting ? seats[i]->connection.fd() : -1, POLLIN, 0};
      waiting += seats[i]->waiting;
    }
    if (waiting == 0) return;
    if (poll(fds.data(), fds.size(), kSilentMs) <= 0) throw std::runtime_error("no reply in time");
    for (size_t i = 0; i < seats.size(); ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      Seat& seat = *seats[i];
      seat.connection.Receive();
      const int64_t now = MonotonicNs();
      Reply reply;
      bool done = false;
      while (!done && seat.connection.Next(&reply)) done = seat.client->Take(reply, now);
      if (!done) continue;
      seat.waiting = now < until && seat.client->size() < kRoundTransactionsMax &&
                     seat.client->error().empty();
      if (seat.waiting) seat.connection.Send(seat.client->NextRequest(MonotonicNs()));
    }
  }
}

struct Round {
  uint64_t seed;
  int64_t length_ns;
  Level level;
};

// Empties the server and writes the first version of every hot key.
void Prepare(int port, std::atomic<uint32_t>* tokens, History* history) {
  Connection connection(port);
  const int64_t begin = MonotonicNs();
  connection.Do({"FLUSHALL"});
  std::vector<std::string> mset{"MSET"};
  std::vector<Operation> operations;
  for (uint32_t key = 0; key < kHotKeys; ++key) {
    const uint32_t token = tokens->fetch_add(1);
    char digits[9];
    std::snprintf(digits, sizeof(digits), "%08x", token);
    mset.insert(mset.end(), {WireKey(key), digits});
    operations.push_back({Op::kOverwrite, key, token});
  }
  connection.Do(mset);
  history->Add({.begin = begin, .end = MonotonicNs(), .label = "start"}, operations);
}

struct Totals {
  size_t transactions = 0, conflicts = 0, skews = 0;
};

bool RunRound(int port, size_t clients, const Round& round, Totals* totals) {
  std::atomic<uint32_t> tokens{1};
  History history(kWireKeys);
  Prepare(port, &tokens, &history);
  std::vector<std::unique_ptr<Seat>> seats;
  std::vector<std::vector<Seat*>> of_thread(kThreads);
  for (size_t i = 0; i < clients; ++i) {
    seats.push_back(std::make_unique<Seat>(port));
    seats.back()->client = std::make_unique<WireClient>(
        round.seed * 1000 + i, static_cast<uint32_t>(i), round.level, tokens);
    of_thread[i % kThreads].push_back(seats.back().get());
  }
  std::vector<std::thread> threads;
  std::vector<std::exception_ptr> errors(kThreads);
  const int64_t until = MonotonicNs() + round.length_ns;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      try {
        RunClients(of_thread[i], until);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  std::vector<WireClient*> ended;
  for (const auto& seat : seats) {
    ended.push_back(seat->client.get());
    totals->conflicts += seat->client->conflicts();
    for (const WireEntry& e : seat->client->entries()) history.Add(e.record, e.operations);
    if (!seat->client->error().empty()) {
      std::printf("%s\n", seat->client->error().c_str());
      return false;
    }
  }
  totals->transactions += history.size();
  const std::string contradiction = LinkLists(ended, &history);
  if (!contradiction.empty()) {
    std::printf("%s\n", contradiction.c_str());
    return false;
  }
  const Report report = history.Check();
  totals->skews += report.anomalies.empty() ? 0 : 1;
  if (!report.Violates(round.level)) return true;
  std::printf("seed %llu:\n%s", static_cast<unsigned long long>(round.seed), report.Text().c_str());
  return false;
}

int Main(int argc, char** argv) {
  const ToolArguments arguments(
      argc, argv, {{"seconds", "10"}, {"seed", "1"}, {"clients", "24"}, {"level", "serializable"}});
  const Level level =
      arguments.Text("level") == "snapshot" ? Level::kSnapshot : Level::kSerializable;
  const int64_t until = MonotonicNs() + arguments.Number("seconds") * 1'000'000'000;
  const auto clients = static_cast<size_t>(std::max<int64_t>(2, arguments.Number("clients")));
  wire::ServerProcess server;
  Totals totals;
  size_t rounds = 0;
  bool good = true;
  while (good && (rounds == 0 || MonotonicNs() < until)) {
    const int64_t left = std::max<int64_t>(until - MonotonicNs(), 100'000'000);
    good = RunRound(server.port(), clients,
                    {static_cast<uint64_t>(arguments.Number("seed")) + rounds++,
                     std::min(left, kRoundNs), level},
                    &totals);
  }
  const int code = server.Stop();
  if (code != 0) std::printf("the server ended with %d\n%s\n", code, server.Output().c_str());
  std::printf("%zu transactions of %zu clients in %zu rounds, %zu conflicts: %s\n",
              totals.transactions, clients, rounds, totals.conflicts,
              good ? "no anomaly" : "ANOMALY");
  if (level == Level::kSnapshot) std::printf("write skew in %zu rounds\n", totals.skews);
  const bool shows_skew = level != Level::kSnapshot || totals.skews > 0;
  return good && shows_skew && code == 0 ? 0 : 1;
}

}  // namespace
}  // namespace fluxkv::isolation

int main(int argc, char** argv) {
  try {
    return fluxkv::isolation::Main(argc, argv);
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
    return 1;
  }
}
