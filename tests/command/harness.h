// Runs commands through the dispatcher against a real store, in the test's process and thread,
// without a network.
//
//   CommandHarness h;
//   CHECK(h.Run({"SET", "k", "v"}) == "OK");
//   CHECK(h.Run({"GET", "k"}) == "\"v\"");
//   CHECK(h.Run({"INCR", "n"}, /*client=*/1) == "(integer) 1");   // another connection
//   CHECK(h.Messages(1).empty());
//
// A reply is one line of text: OK, (integer) 1, "bulk", (nil), (error) ERR ..., [a, b], {k: v}, and
// in RESP3 also ~[a] for a set, >[a] for a push, (double) 1.5, (true), (null).
// Threads: the test's. Owns: everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/dispatch.h"
#include "command/latency.h"
#include "command/mailbox.h"
#include "command/services.h"
#include "command/session.h"
#include "command/slowlog.h"
#include "command/table.h"
#include "engine/store.h"

namespace fluxkv::command {

// Refusals that many commands share, as a reply's text.
inline constexpr std::string_view kSyntaxError = "(error) ERR syntax error";
inline constexpr std::string_view kNotInt = "(error) ERR value is not an integer or out of range";

inline bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The text form of the first reply in `bytes`, which it removes.
std::string TakeReply(std::string_view* bytes);

class CommandHarness {
 public:
  // `options` as on the command line: {"--databases", "4"}.
  explicit CommandHarness(std::vector<std::string> options = {});
  ~CommandHarness();

  // Runs one command of a client, who is connected if he was not, and goes on until it has
  // answered. Several replies (SUBSCRIBE a b) are joined by a space; none (CLIENT REPLY OFF) is "".
  std::string Run(std::vector<std::string> arguments, size_t client = 0);
  // The same as bytes of the wire.
  std::string RunRaw(std::vector<std::string> arguments, size_t client = 0);
  // What other clients (or he himself) have sent to the client since the last call, as text.
  std::vector<std::string> Messages(size_t client = 0);
  // CONFIG SET by another way; the option must exist and be changeable.
  void Set(const std::string& option, const std::string& value);

  // Takes snapshots in no time, of nothing.
  class Persistence : public PersistenceControl {
   public:
    bool loading() const override { return loading_now; }
    bool log_on() const override { return false; }
    engine::Stamp durable_stamp() const override { return 0; }
    void RequestSync() override {}
    void WriteLog() override {}
    bool SyncLog() override { return false; }
    PersistenceFigures figures() const override { return {}; }
    Result<std::optional<uint64_t>> RequestSnapshot(bool) override {
      if (!error.empty()) return Status::Error(error);
      return std::optional<uint64_t>(++tickets);
    }
    bool SnapshotEnded(uint64_t, Status* result) override {
      *result = Status();
      return true;
    }
    bool snapshot_busy() const override { return busy; }
    uint64_t BeginReload(Reload) override { return ++tickets; }
    bool ReloadEnded(uint64_t, Status* result) override {
      *result = Status();
      return true;
    }
    bool loading_now = false, busy = false;
    std::string error;
    uint64_t tickets = 0;
  };

  Session& session(size_t client = 0);
  // Ends the client's connection.
  void Disconnect(size_t client);
  Services& services() { return *services_; }
  LoopState& loop() { return *loop_; }
  Dispatcher& dispatcher() { return *dispatcher_; }
  Persistence& persistence() { return persistence_; }
  // Commands on the server's life that were asked for: "shutdown", "shutdown now".
  const std::vector<std::string>& asked() const { return asked_; }

 private:
  class Box : public Mailbox {
   public:
    void Post(std::vector<uint64_t> client_ids, std::shared_ptr<const Delivery> delivery) override {
      std::lock_guard lock(mutex_);
      for (uint64_t id : client_ids) waiting_[id].push_back(delivery);
    }
    void Wake() override {}
    std::vector<std::shared_ptr<const Delivery>> Take(uint64_t client_id) {
      std::lock_guard lock(mutex_);
      auto node = waiting_.extract(client_id);
      return node.empty() ? std::vector<std::shared_ptr<const Delivery>>()
                          : std::move(node.mapped());
    }

   private:
    std::mutex mutex_;  // the collector posts too
    std::map<uint64_t, std::vector<std::shared_ptr<const Delivery>>> waiting_;  // by client
  };
  class Control : public ServerControl {
   public:
    explicit Control(std::vector<std::string>& asked) : asked_(asked) {}
    void Shutdown(ShutdownMode mode, bool save) override {
      asked_.push_back(mode == ShutdownMode::kNow ? "shutdown now" : "shutdown");
      if (save) asked_.push_back("save");
    }
    bool AbortShutdown() override { return false; }
    size_t loops() const override { return 1; }
    std::vector<std::string> listen_addresses() const override { return {"tcp:127.0.0.1:6379"}; }
    std::string executable() const override { return "/usr/bin/fluxkv"; }
    uint64_t resident_bytes() const override { return 64 << 20; }

   private:
    std::vector<std::string>& asked_;
  };

  Clock clock_;
  std::unique_ptr<config::Config> config_;
  CommandTable table_;
  PubSub pubsub_;
  ClientRegistry clients_;
  std::unique_ptr<SlowLog> slowlog_;
  LatencyMonitor latency_;
  ServerStats stats_;
  std::vector<std::string> asked_;
  Control control_{asked_};
  Persistence persistence_;
  Box box_;
  std::unique_ptr<engine::Database> database_;  // its collector calls pubsub_ and box_
  std::unique_ptr<engine::Handle> handle_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<LoopState> loop_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::map<size_t, std::unique_ptr<Session>> sessions_;
};

}  // namespace fluxkv::command
