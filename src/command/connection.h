// What dispatch and EXEC must know of SELECT beyond its row: it changes in which database the
// commands behind it find their keys.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "command/command.h"
#include "engine/database.h"

namespace fluxkv::command {

bool IsSelect(const Command& command);
bool IsHello(const Command& command);
// The database that a SELECT with these arguments selects; nullopt if it will fail.
std::optional<uint32_t> SelectedBy(std::span<const std::string_view> arguments,
                                   const engine::Database& database);

}  // namespace fluxkv::command
