// One event loop with its thread over a store whose log records and has no log thread: the test
// says what is safe. Clients are ends of socket pairs.
//
//   LoopFixture f;
//   TestClient a = f.Connect();
//   a.Send("SET k v\r\n");
//   f.WaitForCommits(1);
//   CHECK(f.Nothing(a));
//   f.log().SetSafe(1);
//   CHECK(a.Expect("+OK\r\n"));
//
// Threads: the test's; the loop has its own. Owns: everything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "command/latency.h"
#include "command/persistence_control.h"
#include "command/services.h"
#include "command/slowlog.h"
#include "command/table.h"
#include "engine/store.h"
#include "server/event_loop.h"

namespace fluxkv::server {

// The client's end of a connection. Its calls wait a few seconds at most.
class TestClient {
 public:
  explicit TestClient(int fd) : fd_(fd) {}
  TestClient(TestClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TestClient& operator=(TestClient&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;
  ~TestClient() { Close(); }

  void Send(std::string_view bytes) const;
  // The next `size` bytes, or fewer when no more came in time.
  std::string Receive(size_t size) const;
  bool Expect(std::string_view bytes) const { return Receive(bytes.size()) == bytes; }
  // Whether nothing has come, without waiting.
  bool Silent() const;
  // Whether the other side closes, with nothing more to read.
  bool Ended() const;
  void EndInput() const;
  void Close();

 private:
  int fd_;
};

class LoopFixture {
 public:
  // `options` as on the command line.
  // `gather_us_max`: how long the loop waits for others to sync with, if not as a server's.
  explicit LoopFixture(const std::vector<std::string>& options = {}, int64_t gather_us_max = 0);
  ~LoopFixture();

  TestClient Connect();
  engine::CommitLog& log() { return database_->store().log; }
  const engine::Store& store() { return database_->store(); }
  EventLoop& loop() { return *loop_; }
  // What SyncLog does, on the loop's thread. Before there is a client.
  void set_on_sync(std::function<bool()> on_sync) { persistence_.on_sync = std::move(on_sync); }
  // Until the loop has finished the turn that it is in.
  void FinishTurn();
  // What `send` sends is read in one turn.
  void InOneTurn(const std::function<void()>& send);
  // Until the newest stamp is at least this one.
  void WaitForCommits(engine::Stamp stamp);
  // Whether the client has got nothing though the loop has finished the turn that it is in.
  bool Nothing(const TestClient& client);
  // Closes the fixture's client: no Nothing() any more.
  void CloseOwnClient() { prober_.reset(); }
  // Ends the loop; the log may go on.
  void StopLoop();

 private:
  class Control : public command::ServerControl {
   public:
    void Shutdown(ShutdownMode, bool) override {}
    bool AbortShutdown() override { return false; }
    size_t loops() const override { return 1; }
    std::vector<std::string> listen_addresses() const override { return {}; }
    std::string executable() const override { return {}; }
    uint64_t resident_bytes() const override { return 0; }
  };

  class Persistence : public command::PersistenceControl {
   public:
    bool loading() const override { return false; }
    bool log_on() const override { return true; }
    engine::Stamp durable_stamp() const override { return 0; }
    void RequestSync() override {}
    void WriteLog() override {}
    bool SyncLog() override { return on_sync != nullptr && on_sync(); }
    command::PersistenceFigures figures() const override { return {}; }
    Result<std::optional<uint64_t>> RequestSnapshot(bool) override {
      return Status::Error("there is no data directory");
    }
    bool SnapshotEnded(uint64_t, Status*) override { return true; }
    bool snapshot_busy() const override { return false; }
    uint64_t BeginReload(Reload) override { return 0; }
    bool ReloadEnded(uint64_t, Status*) override { return true; }
    std::function<bool()> on_sync;
  };

  Clock clock_;
  std::unique_ptr<Logger> logger_;
  std::unique_ptr<config::Config> config_;
  command::CommandTable table_;
  command::PubSub pubsub_;
  command::ClientRegistry clients_;
  std::unique_ptr<command::SlowLog> slowlog_;
  command::LatencyMonitor latency_;
  command::ServerStats stats_;
  Control control_;
  Persistence persistence_;
  std::unique_ptr<engine::Database> database_;
  std::unique_ptr<command::Services> services_;
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
  std::unique_ptr<TestClient> prober_;
};

// A client that sends INCR of a key that is shared by all, so that a reply is the number of its
// commit, up to `commands_max` at once. How many came before their commit was safe; 1000 more when
// one did not come.
int EarlyReplies(LoopFixture& f, size_t rounds, size_t commands_max);

}  // namespace fluxkv::server
