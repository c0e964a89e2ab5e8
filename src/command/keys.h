// The keys of a request, found by its command's row: what dispatch latches before the handler runs.
//
//   AppendLatchKeys(command, arguments, session.db, &loop.latch_keys);
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "command/command.h"
#include "engine/key.h"
#include "engine/transaction.h"

namespace fluxkv::command {

// Every key by its database and hash. Nothing for arguments that the handler will refuse.
// Requires: the arity was checked.
inline void AppendLatchKeys(const Command& command, std::span<const std::string_view> arguments,
                            uint32_t db, std::vector<engine::LatchKey>* keys) {
  if (command.find_keys != nullptr) [[unlikely]] {
    std::vector<DeclaredKey> declared;
    if (!command.find_keys(arguments, db, &declared)) return;
    for (const DeclaredKey& key : declared) {
      keys->push_back({key.db, engine::Key(arguments[key.argument]).hash});
    }
    return;
  }
  int count = static_cast<int>(arguments.size());
  int last = command.keys.last >= 0 ? command.keys.last : count + command.keys.last;
  if (command.keys.first == 0) return;
  for (int i = command.keys.first; i <= last && i < count; i += command.keys.step) {
    keys->push_back({db, engine::Key(arguments[static_cast<size_t>(i)]).hash});
  }
}

}  // namespace fluxkv::command
