// maxmemory-clients: when all clients together take more than it allows, the largest go, until the
// others fit. As in Redis, CLIENT NO-EVICT spares a client, and its memory is not counted.
// Threads: any; the connections are closed by their own loops, a moment later.
#pragma once

#include <cstdint>

#include "command/services.h"

namespace fluxkv::command {

// Bytes that clients may take, 0 for no limit: the option may be a part of maxmemory.
uint64_t ClientMemoryLimit(const config::Settings& settings);

// How many clients were told to go.
uint64_t EvictClients(Services& services);

}  // namespace fluxkv::command
