// How a thread reaches a connection of another loop: a message for it is put into its loop's
// mailbox, and the loop delivers it in a later turn. Implemented by the server; the command layer
// only posts.
// Threads: Post from any thread. Messages of one sender to one loop
//          are delivered in the order posted.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/version.h"

namespace fluxkv::command {

struct Delivery {
  enum class Kind : uint8_t {
    kMessage,         // message
    kPatternMessage,  // pattern, message
    kShardMessage,    // message
    kMonitorLine,     // message, its payload: the line without '+' and CRLF
    kKill,  // close the connection after what is already written to it has been tried to send once
    kUnblockTimeout,  // CLIENT UNBLOCK id TIMEOUT
    kUnblockError,    // CLIENT UNBLOCK id ERROR
  };
  // Shared by the deliveries of one PUBLISH, which may be many patterns' and as many payloads long.
  struct Message {
    std::string channel;
    std::string payload;
  };
  Kind kind = Kind::kMessage;
  std::string pattern{};
  std::shared_ptr<const Message> message{};
  // The commit that it tells of: the receiver holds it until the log has got so far
  // (engine/commit_log.h, D4).
  engine::Stamp stamp = 0;
};

class Mailbox {
 public:
  virtual ~Mailbox() = default;
  virtual void Post(std::vector<uint64_t> client_ids, std::shared_ptr<const Delivery> delivery) = 0;
  // Makes the loop look at its paused and parked connections again.
  virtual void Wake() = 0;
};

}  // namespace fluxkv::command
