// SUBSCRIBE and its relatives, PUBLISH, PUBSUB, keyspace events.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

using Texts = std::vector<std::string>;

TEST_CASE("a message reaches every subscriber") {
  CommandHarness h;
  CHECK(h.Run({"SUBSCRIBE", "a", "b", "a"}, 1) ==
        "[\"subscribe\", \"a\", (integer) 1] [\"subscribe\", \"b\", (integer) 2] [\"subscribe\", "
        "\"a\", (integer) 2]");
  CHECK(h.Run({"SUBSCRIBE", "a"}, 2) == "[\"subscribe\", \"a\", (integer) 1]");
  CHECK(h.Run({"PUBLISH", "a", "x"}) == "(integer) 2");
  CHECK(h.Run({"PUBLISH", "b", "y"}) == "(integer) 1");
  CHECK(h.Run({"PUBLISH", "c", "z"}) == "(integer) 0");
  CHECK(h.Messages(1) == Texts{"[\"message\", \"a\", \"x\"]", "[\"message\", \"b\", \"y\"]"});
  CHECK(h.Messages(2) == Texts{"[\"message\", \"a\", \"x\"]"});
}

TEST_CASE("patterns, once for each that matches, behind the channel") {
  CommandHarness h;
  h.Run({"PSUBSCRIBE", "n*", "ne?s"}, 1);
  h.Run({"SUBSCRIBE", "news"}, 1);
  CHECK(h.Run({"PUBLISH", "news", "x"}) == "(integer) 3");
  CHECK(h.Messages(1) == Texts{"[\"message\", \"news\", \"x\"]",
                               "[\"pmessage\", \"n*\", \"news\", \"x\"]",
                               "[\"pmessage\", \"ne?s\", \"news\", \"x\"]"});
}

TEST_CASE("unsubscribing") {
  CommandHarness h;
  CHECK(h.Run({"UNSUBSCRIBE"}) == "[\"unsubscribe\", (nil), (integer) 0]");
  CHECK(h.Run({"PUNSUBSCRIBE"}) == "[\"punsubscribe\", (nil), (integer) 0]");
  CHECK(h.Run({"SUNSUBSCRIBE"}) == "[\"sunsubscribe\", (nil), (integer) 0]");
  CHECK(h.Run({"UNSUBSCRIBE", "a"}) == "[\"unsubscribe\", \"a\", (integer) 0]");
  h.Run({"SUBSCRIBE", "a"});
  h.Run({"PSUBSCRIBE", "p*"});
  CHECK(h.Run({"UNSUBSCRIBE", "a"}) == "[\"unsubscribe\", \"a\", (integer) 1]");
  CHECK(h.Run({"PUNSUBSCRIBE"}) == "[\"punsubscribe\", \"p*\", (integer) 0]");
  CHECK(h.services().pubsub.empty());
  CHECK(h.session().info->flags.load() == 0);
}

TEST_CASE("a message under way is dropped when its receiver has left") {
  CommandHarness h;
  h.Run({"SUBSCRIBE", "a"}, 1);
  h.Run({"PUBLISH", "a", "x"});
  h.Run({"UNSUBSCRIBE", "a"}, 1);
  CHECK(h.Messages(1).empty());
  h.Run({"SUBSCRIBE", "a"}, 1);
  h.Disconnect(1);
  CHECK(h.Run({"PUBLISH", "a", "x"}) == "(integer) 0");
}

TEST_CASE("RESP2 allows little while subscribed, RESP3 everything") {
  CommandHarness h;
  h.Run({"SUBSCRIBE", "a"});
  CHECK(h.Run({"GET", "k"}) ==
        "(error) ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
        "RESET are allowed in this context");
  CHECK(h.Run({"pubsub", "numpat"}).starts_with("(error) ERR Can't execute 'pubsub|numpat'"));
  CHECK(h.Run({"PING"}) == "[\"pong\", \"\"]");
  CHECK(h.Run({"PING", "x"}) == "[\"pong\", \"x\"]");
  CHECK(h.Run({"RESET"}) == "RESET");
  CHECK(h.Run({"PING"}) == "PONG");
  CHECK(h.services().pubsub.empty());
  h.Run({"HELLO", "3"});
  CHECK(h.Run({"SUBSCRIBE", "a"}) == ">[\"subscribe\", \"a\", (integer) 1]");
  CHECK(h.Run({"GET", "k"}) == "(null)");
  CHECK(h.Run({"PING"}) == "PONG");
  CHECK(h.Run({"PUBLISH", "a", "self"}) == "(integer) 1");
  CHECK(h.Messages() == Texts{">[\"message\", \"a\", \"self\"]"});
}

TEST_CASE("shard channels are a world of their own") {
  CommandHarness h;
  CHECK(h.Run({"SSUBSCRIBE", "a"}, 1) == "[\"ssubscribe\", \"a\", (integer) 1]");
  h.Run({"SUBSCRIBE", "a"}, 2);
  CHECK(h.Run({"SPUBLISH", "a", "s"}) == "(integer) 1");
  CHECK(h.Run({"PUBLISH", "a", "m"}) == "(integer) 1");
  CHECK(h.Messages(1) == Texts{"[\"smessage\", \"a\", \"s\"]"});
  CHECK(h.Messages(2) == Texts{"[\"message\", \"a\", \"m\"]"});
  CHECK(h.Run({"SUNSUBSCRIBE", "a"}, 1) == "[\"sunsubscribe\", \"a\", (integer) 0]");
}

class Recorder : public Mailbox {
 public:
  void Post(std::vector<uint64_t>, std::shared_ptr<const Delivery> delivery) override {
    deliveries.push_back(std::move(delivery));
  }
  void Wake() override {}
  std::vector<std::shared_ptr<const Delivery>> deliveries;
};

TEST_CASE("the deliveries of one message share its bytes") {
  Recorder recorder;
  PubSub pubsub;
  pubsub.SetMailboxes({&recorder});
  pubsub.Subscribe(ChannelKind::kChannel, "news", 1, 0);
  for (const char* pattern : {"*", "n*", "x*"}) {
    pubsub.Subscribe(ChannelKind::kPattern, pattern, 1, 0);
  }
  CHECK(pubsub.Publish("news", "payload", /*shard=*/false, /*stamp=*/0) == 3);
  REQUIRE(recorder.deliveries.size() == 3);
  CHECK(recorder.deliveries[0]->message->payload == "payload");
  for (const auto& delivery : recorder.deliveries) {
    CHECK(delivery->message == recorder.deliveries[0]->message);
  }
  pubsub.Unsubscribe(ChannelKind::kPattern, "n*", 1, 0);
  CHECK(pubsub.Publish("news", "payload", /*shard=*/false, /*stamp=*/0) == 2);
}

TEST_CASE("PUBSUB looks at them") {
  CommandHarness h;
  h.Run({"SUBSCRIBE", "news.a", "news.b"}, 1);
  h.Run({"SUBSCRIBE", "news.a"}, 2);
  h.Run({"PSUBSCRIBE", "x*"}, 1);
  h.Run({"PSUBSCRIBE", "x*"}, 2);
  h.Run({"SSUBSCRIBE", "shard"}, 3);
  CHECK(h.Run({"PUBSUB", "CHANNELS"}) == "[\"news.a\", \"news.b\"]");
  CHECK(h.Run({"PUBSUB", "CHANNELS", "*b"}) == "[\"news.b\"]");
  CHECK(h.Run({"PUBSUB", "CHANNELS", ""}) == "[]");
  CHECK(h.Run({"PUBSUB", "CHANNELS", "a", "b"}) ==
        "(error) ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB "
        "HELP.");
  CHECK(h.Run({"PUBSUB", "NUMSUB", "news.a", "none"}) ==
        "[\"news.a\", (integer) 2, \"none\", (integer) 0]");
  CHECK(h.Run({"PUBSUB", "NUMSUB"}) == "[]");
  CHECK(h.Run({"PUBSUB", "NUMPAT"}) == "(integer) 1");
  CHECK(h.Run({"PUBSUB", "SHARDCHANNELS"}) == "[\"shard\"]");
  CHECK(h.Run({"PUBSUB", "SHARDNUMSUB", "shard"}) == "[\"shard\", (integer) 1]");
  CHECK(h.Run({"PUBSUB", "HELP"}).starts_with("[PUBSUB <subcommand>"));
}

TEST_CASE("keyspace events") {
  CommandHarness h;
  h.Run({"PSUBSCRIBE", "__key*"}, 1);
  h.Run({"SET", "k", "v"});
  CHECK(h.Messages(1).empty());
  h.Set("notify-keyspace-events", "KEA");
  h.Run({"SET", "k", "v"});
  CHECK(h.Messages(1) == Texts{"[\"pmessage\", \"__key*\", \"__keyspace@0__:k\", \"set\"]",
                               "[\"pmessage\", \"__key*\", \"__keyevent@0__:set\", \"k\"]"});
  h.Set("notify-keyspace-events", "Kg");
  h.Run({"SET", "k", "v"});
  h.Run({"DEL", "k"});
  h.Run({"GET", "k"});
  CHECK(h.Messages(1) == Texts{"[\"pmessage\", \"__key*\", \"__keyspace@0__:k\", \"del\"]"});
  h.Set("notify-keyspace-events", "Em");
  h.Run({"GET", "k"});
  CHECK(h.Messages(1) == Texts{"[\"pmessage\", \"__key*\", \"__keyevent@0__:keymiss\", \"k\"]"});
  h.Set("notify-keyspace-events", "E$");
  h.Run({"MULTI"});
  h.Run({"SELECT", "4"});
  h.Run({"SET", "k", "v"});
  CHECK(h.Messages(1).empty());
  h.Run({"EXEC"});
  CHECK(h.Messages(1) == Texts{"[\"pmessage\", \"__key*\", \"__keyevent@4__:set\", \"k\"]"});
}

}  // namespace
}  // namespace fluxkv::command
