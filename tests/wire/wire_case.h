// The beginning of a wire test case: a running server that the cases of one file share, emptied,
// with a client on it.
//
//   TEST_CASE("SET with EX") {
//     WireCase wire;   // or WireCase wire({"--enable-debug-command", "yes"});
//     CHECK(wire.client.Do({"SET", "k", "v", "EX", "10"}) == "OK");
//   }
//
// A case whose server has died fails and shows its output; the next case gets a new one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/wire/client.h"
#include "tests/wire/server_process.h"

namespace fluxkv::wire {

// At most one shared server runs at a time: asking for another file's, or for other options, stops
// the one before.
class SharedServer {
 public:
  // Owned by the test program; its lifetime ends with StopShared.
  static SharedServer& Instance();

  ServerProcess& Get(const std::string& file, const std::vector<std::string>& options);
  // An empty text, or what was wrong: an exit code that is not 0, with the server's output.
  std::string Stop();

 private:
  std::unique_ptr<ServerProcess> server_;
  std::string key_;
};

// Whether it comes true within ten seconds.
bool Becomes(const std::function<bool()>& condition);

class WireCase {
 public:
  explicit WireCase(const std::vector<std::string>& options = {},
                    const char* file = __builtin_FILE());
  ~WireCase();

  ServerProcess& server;
  Client client;
};

}  // namespace fluxkv::wire
