#include "command/client_line.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/parse.h"
#include "base/relaxed.h"
#include "command/open_transaction.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

template <class T>
std::string Figure(const std::atomic<T>& value) {
  return std::to_string(value.load(std::memory_order_relaxed));
}

std::string FlagLetters(uint32_t flags) {
  // In Redis's order.
  constexpr std::pair<uint32_t, char> kLetters[] = {
      {kClientMonitor, 'O'}, {kClientPubSub, 'P'},    {kClientMulti, 'x'},
      {kClientBlocked, 'b'}, {kClientCloseSoon, 'c'}, {kClientUnixSocket, 'U'},
      {kClientNoEvict, 'e'}, {kClientNoTouch, 'T'}};
  std::string letters;
  for (const auto& [flag, letter] : kLetters) {
    if ((flags & flag) != 0) letters += letter;
  }
  return letters.empty() ? "N" : letters;
}

}  // namespace

std::optional<ClientType> ParseClientType(std::string_view name) {
  if (EqualsIgnoreCase(name, "normal")) return ClientType::kNormal;
  if (EqualsIgnoreCase(name, "slave") || EqualsIgnoreCase(name, "replica"))
    return ClientType::kReplica;
  if (EqualsIgnoreCase(name, "pubsub")) return ClientType::kPubSub;
  if (EqualsIgnoreCase(name, "master")) return ClientType::kMaster;
  return std::nullopt;
}

ClientType TypeOf(const ClientInfo& client) {
  bool pubsub = (client.flags.load(std::memory_order_relaxed) & kClientPubSub) != 0;
  return pubsub ? ClientType::kPubSub : ClientType::kNormal;
}

std::string ClientLine(const ClientInfo& client, int64_t now_ms) {
  std::string name, library_name, library_version;
  {
    std::lock_guard lock(client.mutex);
    name = client.name;
    library_name = client.library_name;
    library_version = client.library_version;
  }
  const Command* last = client.last_command.load(std::memory_order_relaxed);
  uint64_t waiting = client.output_bytes.load(std::memory_order_relaxed);
  uint64_t parts = client.output_parts.load(std::memory_order_relaxed);
  int64_t last_active_ms = client.last_active_ms.load(std::memory_order_relaxed);
  std::string buffer = Figure(client.output_buffer_bytes);

  std::string line = "id=" + std::to_string(client.id);
  auto add = [&line](std::string_view field, const std::string& value) {
    line += ' ';
    line += field;
    line += '=';
    line += value;
  };
  add("addr", client.address);
  add("laddr", client.local_address);
  add("fd", std::to_string(client.fd));
  add("name", name);
  add("age", std::to_string(std::max<int64_t>(now_ms - client.created_ms, 0) / 1000));
  add("idle", std::to_string(std::max<int64_t>(now_ms - last_active_ms, 0) / 1000));
  add("flags", FlagLetters(client.flags.load(std::memory_order_relaxed)));
  add("db", Figure(client.db));
  add("sub", Figure(client.channels));
  add("psub", Figure(client.patterns));
  add("ssub", Figure(client.shard_channels));
  add("multi", Figure(client.multi_commands));
  add("watch", Figure(client.watched));
  add("qbuf", Figure(client.input_bytes));
  add("qbuf-free", Figure(client.input_free_bytes));
  add("argv-mem", "0");  // arguments stay in the query buffer
  add("multi-mem", Figure(client.multi_bytes));
  add("rbs", buffer);
  add("rbp", buffer);
  // What waits to be sent: in the reply buffer alone, or in several pieces.
  add("obl", std::to_string(parts == 0 ? waiting : 0));
  add("oll", std::to_string(parts));
  add("omem", std::to_string(parts == 0 ? 0 : waiting));
  add("tot-mem", Figure(client.total_bytes));
  add("events", waiting == 0 ? "r" : "rw");
  add("cmd", last == nullptr ? "NULL" : CommandTable::FullName(*last));
  add("user", "default");
  add("redir", "-1");
  add("resp", Figure(client.protocol));
  add("lib-name", library_name);
  add("lib-ver", library_version);
  add("tot-net-in", Figure(client.net_input_bytes));
  add("tot-net-out", Figure(client.net_output_bytes));
  add("tot-cmds", Figure(client.commands));
  const auto level = static_cast<TransactionLevel>(client.transaction_level.load(kRelaxed));
  const int64_t open_ms = now_ms - client.transaction_began_ms.load(kRelaxed);
  add("transaction", std::string(NameOf(level)));
  add("transaction-age",
      std::to_string(level == TransactionLevel::kNone ? 0 : std::max<int64_t>(open_ms, 0) / 1000));
  add("transaction-mem", Figure(client.transaction_bytes));
  return line;
}

}  // namespace fluxkv::command
