// Goal: a connection answers the simplest commands in every form in which requests may arrive.
// Method: exact bytes over a raw socket, the same through hiredis.
#include <string>

#include <doctest/doctest.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {

TEST_CASE("PING and ECHO") {
  WireCase wire;
  CHECK(wire.client.DoRaw({"PING"}) == "+PONG\r\n");
  CHECK(wire.client.DoRaw({"ping", "hello"}) == "$5\r\nhello\r\n");
  CHECK(wire.client.DoRaw({"ECHO", ""}) == "$0\r\n\r\n");
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  CHECK(wire.client.DoRaw({"ECHO", every_byte}) == "$256\r\n" + every_byte + "\r\n");
}

TEST_CASE("the same through hiredis") {
  WireCase wire;
  HiredisContext context = Connect(wire.server.port());
  CHECK(Run(context.get(), {"PING"}) == "PONG");
  CHECK(Run(context.get(), {"SET", "k", "v"}) == "OK");
  CHECK(Run(context.get(), {"MGET", "k", "absent"}) == "[\"v\", (nil)]");
  CHECK(Run(context.get(), {"STRLEN", "k"}) == "(integer) 1");
}

TEST_CASE("inline commands") {
  WireCase wire;
  wire.client.Send("PING\r\n");
  CHECK(wire.client.Read() == "PONG");
  wire.client.Send("PING\n");  // a line feed alone ends a line too
  CHECK(wire.client.Read() == "PONG");
  wire.client.Send("\r\n  ECHO   \"a b\\x41\\n\"  \r\n");
  CHECK(wire.client.Read() == "\"a bA\\n\"");
  wire.client.Send("ECHO 'it\\'s'\r\n");
  CHECK(wire.client.Read() == "\"it's\"");
  wire.client.Send("ECHO \"open\r\n");
  CHECK(wire.client.Read() == "(error) ERR Protocol error: unbalanced quotes in request");
  CHECK(wire.client.Closed());
}

TEST_CASE("a pipeline split at every byte") {
  WireCase wire;
  const std::string request =
      Encode({"SET", "key", "value"}) + "GET key\r\n" + Encode({"ECHO", "\r\n"}) + Encode({"PING"});
  const std::string expected = "+OK\r\n$5\r\nvalue\r\n$2\r\n\r\n\r\n+PONG\r\n";
  for (size_t split = 1; split < request.size(); ++split) {
    CAPTURE(split);
    wire.client.Send(request.substr(0, split));
    if (split % 16 == 0)
      wire.client.Readable(1);  // give the server time to see the first part alone
    wire.client.Send(request.substr(split));
    std::string replies;
    for (int i = 0; i < 4; ++i) replies += wire.client.ReadRaw();
    REQUIRE(replies == expected);
  }
  for (char byte : request) wire.client.Send(std::string(1, byte));
  std::string replies;
  for (int i = 0; i < 4; ++i) replies += wire.client.ReadRaw();
  CHECK(replies == expected);
}

TEST_CASE("a long pipeline is answered in order") {
  WireCase wire;
  constexpr int kRequests = 20000;
  std::string request;
  for (int i = 0; i < kRequests; ++i) request += Encode({"ECHO", std::to_string(i)});
  wire.client.Send(request);
  for (int i = 0; i < kRequests; ++i)
    REQUIRE(wire.client.Read() == "\"" + std::to_string(i) + "\"");
}

TEST_CASE("unknown commands and wrong numbers of arguments") {
  WireCase wire;
  CHECK(wire.client.Do({"NOSUCH"}) ==
        "(error) ERR unknown command 'NOSUCH', with args beginning with: ");
  CHECK(wire.client.Do({"NOSUCH", "a", "b c"}) ==
        "(error) ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b c' ");
  CHECK(wire.client.Do({"GET"}) == "(error) ERR wrong number of arguments for 'get' command");
  CHECK(wire.client.Do({"CLIENT", "NOSUCH"}) ==
        "(error) ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.");
  CHECK(wire.client.Do({"PING"}) == "PONG");
}

TEST_CASE("what is no request closes the connection with an error") {
  for (const char* bytes : {"*1\r\n+PING\r\n", "*x\r\n", "*1\r\n$-5\r\n", "*2147483648\r\n"}) {
    WireCase wire;
    CAPTURE(std::string(bytes));
    wire.client.Send(bytes);
    CHECK(wire.client.Read().substr(0, 26) == "(error) ERR Protocol error");
    CHECK(wire.client.Closed());
  }
}

TEST_CASE("HELLO changes the protocol") {
  WireCase wire;
  CHECK(wire.client.DoRaw({"GET", "absent"}) == "$-1\r\n");
  CHECK(wire.client.DoRaw({"HELLO", "3"}).substr(0, 1) == "%");
  CHECK(wire.client.DoRaw({"GET", "absent"}) == "_\r\n");
  CHECK(wire.client.DoRaw({"HELLO", "2"}).substr(0, 1) == "*");
  CHECK(wire.client.DoRaw({"GET", "absent"}) == "$-1\r\n");
  CHECK(wire.client.Do({"HELLO", "4"}) == "(error) NOPROTO unsupported protocol version");
}

}  // namespace fluxkv::wire
