// A client as CLIENT LIST and CLIENT INFO show it,
// and the classes of clients that their filters know.
// Threads: any; the figures of other loops' clients are those they published last.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "command/client_info.h"

namespace fluxkv::command {

enum class ClientType : uint8_t { kNormal, kReplica, kPubSub, kMaster };

// "normal", "slave", "replica", "pubsub", "master", in any case.
std::optional<ClientType> ParseClientType(std::string_view name);
ClientType TypeOf(const ClientInfo& client);

// One line without its end: "id=3 addr=127.0.0.1:50282 ...".
std::string ClientLine(const ClientInfo& client, int64_t now_ms);

}  // namespace fluxkv::command
