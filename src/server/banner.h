// The screen that a starting server shows: what it is, where it listens, how to connect.
//
//   std::fputs(Banner(config, server.listen_addresses(), threads).c_str(), stdout);
//
// Threads: pure function.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/config.h"

namespace fluxkv::server {

// `addresses`: "tcp:127.0.0.1:6379", "unix:/tmp/x".
std::string Banner(const config::Config& config, const std::vector<std::string>& addresses,
                   size_t threads);

}  // namespace fluxkv::server
