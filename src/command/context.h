// What a handler gets: its arguments, the transaction it works in, where to write its reply, and
// the services of the server.
//
//   void Strlen(Context& c) {
//     const engine::Version* v = c.Lookup(c.Key(1));
//     if (v != nullptr && !c.CheckString(*v)) return;   // has answered WRONGTYPE
//     c.reply.Integer(v == nullptr ? 0 : types::StringSize(*v));
//   }
//
// A handler parses all options before it reads anything; it writes exactly one reply; it never
// commits or begins: dispatch does. It may run again from the start when its reads were not of one
// moment, so until the reply is written it has no other effect than on the transaction and the
// reply. Notify and AfterCommit are undone by such a repeat.
// Threads: the connection's loop.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "command/command.h"
#include "command/parked.h"
#include "command/session.h"
#include "engine/key.h"
#include "engine/transaction.h"
#include "resp/writer.h"

namespace fluxkv::command {

struct Services;  // command/services.h
class LoopState;  // command/services.h

struct Context {
  std::span<const std::string_view>
      args;  // args[0] is the name as typed; views into the input buffer, dead after the call
  const Command* command = nullptr;
  Session& session;
  engine::Transaction& txn;
  resp::Writer& reply;
  Services& services;
  LoopState& loop;
  bool in_exec = false;  // one command of an EXEC: no parking
  // Set by a handler that has not answered yet; it then writes no reply and works in a transaction
  // of its own, for `txn` ends when the handler returns.
  std::unique_ptr<Parked> parked{};

  uint32_t db() const { return session.db; }
  engine::Key Key(size_t argument) const { return engine::Key(args[argument]); }
  // Reads for a command that returns the value: counts keyspace hit or miss and notes the access.
  const engine::Version* Lookup(const engine::Key& key);
  // f(key) for the arguments from `first` on, which are keys. Some at a time are asked for in
  // memory before the first of them is looked at.
  template <typename F>
  void ForKeys(size_t first, const F& f) {
    std::array<engine::Key, engine::Transaction::kPrefetchMost> keys;
    for (size_t at = first; at < args.size();) {
      const auto some = std::span(keys).first(std::min(keys.size(), args.size() - at));
      for (engine::Key& key : some) key = Key(at++);
      if (some.size() > 1) txn.Prefetch(db(), some);
      for (const engine::Key& key : some) f(key);
    }
  }
  // False after answering WRONGTYPE.
  bool CheckString(const engine::Version& version);
  // A keyspace event, sent after the commit if notify-keyspace-events wants it.
  // `type` is one of config::NotifyFlags.
  void Notify(uint32_t type, std::string_view event, std::string_view key) {
    NotifyIn(type, event, key, db());
  }
  void NotifyIn(uint32_t type, std::string_view event, std::string_view key, uint32_t db);
  // Keeps an argument (a password) out of MONITOR and SLOWLOG, which show "(redacted)" for it.
  void Redact(size_t argument);
};

}  // namespace fluxkv::command
