// The parts of the server that commands use, put together once by main.
// References only; main owns them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "command/clients.h"
#include "command/persistence_control.h"
#include "command/pubsub.h"
#include "command/session.h"
#include "command/stats.h"
#include "command/stopwatch.h"
#include "config/config.h"
#include "engine/database.h"
#include "engine/evictor.h"
#include "engine/handle.h"
#include "engine/transaction.h"

namespace fluxkv::command {

class CommandTable;    // command/table.h
class SlowLog;         // command/slowlog.h
class LatencyMonitor;  // command/latency.h

// What commands need of the process, implemented by src/server. Threads: any loop.
class ServerControl {
 public:
  virtual ~ServerControl() = default;
  enum class ShutdownMode : uint8_t { kGraceful, kNow };
  // `save`: with a last snapshot.
  virtual void Shutdown(ShutdownMode mode, bool save) = 0;
  virtual bool AbortShutdown() = 0;  // false: none in progress
  virtual size_t loops() const = 0;
  virtual std::vector<std::string> listen_addresses()
      const = 0;  // "tcp:127.0.0.1:6379", "unix:/tmp/x"
  virtual std::string executable() const = 0;
  virtual uint64_t resident_bytes() const = 0;  // of the process; 0 if the system does not say
};

struct Services {
  engine::Database& database;
  Clock& clock;
  config::Config& config;
  const CommandTable& table;
  PubSub& pubsub;
  ClientRegistry& clients;
  SlowLog& slowlog;
  LatencyMonitor& latency;
  ServerStats& stats;
  ServerControl& server;
  PersistenceControl& persistence;
};

// What belongs to one loop: the thread's engine handle,
// the transaction its commands run in, its counters.
class LoopState {
 public:
  LoopState(uint32_t number, engine::Handle& handle, LoopStats& stats)
      : number(number), handle(handle), txn(handle), evictor(handle), stats(stats) {}
  const uint32_t number;
  engine::Handle& handle;
  engine::Transaction txn;
  engine::Evictor evictor;
  LoopStats& stats;
  std::vector<engine::LatchKey> latch_keys;  // scratch
  std::vector<PendingEvent>
      events;                    // keyspace events of the running command, sent after its commit
  std::vector<size_t> redacted;  // arguments of the running command that are not to be shown
  Stopwatch stopwatch;
};

// The newest commit that a message of the client may tell of: he sends it after what he was
// answered, and after what the running command has done.
inline engine::Stamp StampOfMessage(const Session& session, const LoopState& loop) {
  return std::max(session.newest_stamp, loop.txn.depends_on());
}

}  // namespace fluxkv::command
