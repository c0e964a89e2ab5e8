// Two clients for wire tests: Client sends exact bytes and reads replies of RESP2 and RESP3; Run
// goes through hiredis.
//
//   Client client(server.port());
//   CHECK(client.Do({"SET", "k", "v"}) == "OK");
//   client.Send("*1\r\n$4\r\nPI");
//   client.Send("NG\r\n");
//   CHECK(client.ReadRaw() == "+PONG\r\n");
//
// The printable form of a reply is one line:
//   OK   (error) ERR text   (integer) 1   "bulk \x00"   (nil)   ["a", (integer) 1]   {"k" => "v"}
//   ~["set"]   >["push"]   (double) 1.5   (true)   (big) 123   (verbatim txt) "text"
//
// Threads: one client belongs to one thread.
// Errors:  std::runtime_error when the server cannot be reached, closes, sends no valid RESP or is
//          silent for 10 s.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <hiredis/hiredis.h>

namespace fluxkv::wire {

using Arguments = std::vector<std::string>;

// The arguments as a RESP array of bulk strings.
std::string Encode(const Arguments& arguments);

class Client {
 public:
  explicit Client(int port);
  explicit Client(const std::string& unix_socket);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Send(std::string_view bytes);

  // The exact bytes of the next reply, an attribute before it included.
  std::string ReadRaw();
  // The next reply in its printable form.
  std::string Read();
  // Sends one command and reads one reply.
  std::string Do(const Arguments& arguments);
  std::string DoRaw(const Arguments& arguments);

  // Whether anything arrives within the time; nothing is consumed.
  bool Readable(int timeout_ms);
  // Whether the server has closed this connection, waiting up to the time. Bytes that come first
  // are dropped.
  bool Closed(int timeout_ms = 2000);

  int fd() const { return fd_; }

 private:
  bool Fill(int timeout_ms);  // false at the end of the stream
  size_t ReplyEnd(size_t at, int depth);
  size_t LineEnd(size_t at);

  int fd_ = -1;
  std::string buffer_;
};

// The printable form of the reply that begins at `at`, which is moved behind it.
std::string Printable(std::string_view raw, size_t* at);

using HiredisContext = std::unique_ptr<redisContext, decltype(&redisFree)>;
HiredisContext Connect(int port);
// One command through hiredis; the reply in the same printable form.
std::string Run(redisContext* context, const Arguments& arguments);

}  // namespace fluxkv::wire
