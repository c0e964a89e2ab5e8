// A connection to a server that speaks the Redis protocol (RESP2), for tools that send many simple
// commands: requests may be sent ahead, replies are read in order.
//
//   Result<std::unique_ptr<RedisClient>> client = RedisClient::Connect({"127.0.0.1", "6379", ""});
//   std::string request;
//   AppendCommand(request, {"SET", key, value});
//   Status status = client.value()->Send(request);
//   Result<RedisClient::Reply> reply = client.value()->Read();
//
// Replies that arrive while a request is being sent are kept, so neither side waits for the other.
// Only replies of one line (status, error, integer, nil) are understood, up to kLineBytesMax.
// Threads: one.
// Owns:    the socket.
// Errors:  a connection that cannot be made, breaks, or is silent for kSilentSecondsMax; bytes that
//          are no such reply. An error reply is a reply, not an error here.
// Source:  the RESP specification (redis.io).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fluxkv::tools {

// As an array of bulk strings.
void AppendCommand(std::string& out, std::initializer_list<std::string_view> arguments);
// What stands before an argument's bytes; "\r\n" stands behind them.
void AppendBulkHeader(std::string& out, size_t bytes);

class RedisClient {
 public:
  static constexpr size_t kLineBytesMax = 64 * 1024;
  static constexpr int kSilentSecondsMax = 120;

  struct Address {
    std::string host;
    std::string port;
    std::string socket_path;  // when not empty, instead of host and port
  };

  struct Reply {
    enum class Kind : uint8_t { kStatus, kError, kInteger, kNil };
    Kind kind;
    std::string_view text;  // without the mark; valid until the next call
  };

  static Result<std::unique_ptr<RedisClient>> Connect(const Address& address);
  explicit RedisClient(int fd);  // a connected socket, owned from now on
  ~RedisClient();
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;

  Status Send(std::string_view bytes);
  Result<Reply> Read();
  // One request and its reply. Requires: no reply outstanding.
  Result<Reply> Call(std::initializer_list<std::string_view> arguments);

 private:
  // Until the socket can be read, or written where that is asked for.
  Status Wait(bool to_write, bool* readable);
  // What has arrived, which may be nothing.
  Status Receive();

  const int fd_;
  std::string arrived_;
  size_t read_bytes_ = 0;  // of arrived_, given out
};

}  // namespace fluxkv::tools
