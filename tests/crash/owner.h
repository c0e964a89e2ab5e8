// One connection of the crash program: its keys, the commands that it sends, and what their replies
// must be. It writes its own keys only, and reads those of others.
//
//   owner.Connected();
//   Send(owner.NextRequests(owners));              // a pipeline of some operations
//   while (!owner.Take(NextReply())) {}            // until all of them are answered
//
// An owner shares a database with others, or has two for itself, which it flushes and swaps.
//
// Threads: one, but for history().confirmed() and announced().
// Errors: error() is set by the first reply that cannot be right.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/crash/key_history.h"
#include "tests/isolation/wire_lists.h"

namespace fluxkv::crash {

using isolation::Reply;

// A key with its value, as a client found it after the crash.
struct FoundValue {
  std::optional<std::string> value;
  int64_t deadline_ms = 0;
  int64_t from_ms = 0, until_ms = 0;
};

class Owner {
 public:
  static constexpr uint32_t kTexts = 10, kCounters = 3, kBriefs = 3;
  // Of names that are nobody's, behind a text's.
  static constexpr const char* kFilling = ".";
  static constexpr uint32_t kKeysPerDatabase = kTexts + kCounters + kBriefs;

  // `databases`: one that is shared, or two of its own.
  Owner(uint32_t number, std::vector<uint32_t> databases, uint64_t seed);

  size_t keys() const { return sent_.size(); }
  std::string NameOf(uint32_t key) const;
  uint32_t DatabaseOf(uint32_t key) const { return databases_[key / kKeysPerDatabase]; }
  static bool IsBrief(uint32_t key) { return key % kKeysPerDatabase >= kTexts + kCounters; }
  const std::vector<uint32_t>& databases() const { return databases_; }

  // A new connection, which has selected database 0.
  void Connected();
  std::string NextRequests(const std::vector<std::unique_ptr<Owner>>& owners);
  bool Take(const Reply& reply);
  const std::string& error() const { return error_; }

  OwnerHistory& history() { return history_; }
  // What this connection was told of others, by owner.
  struct Seen {
    uint32_t owner;
    SeenState state;
  };
  const std::vector<Seen>& seen() const { return seen_; }

  // The next cycle begins with what is there.
  void Restart(const std::vector<FoundValue>& found);

 private:
  struct SentKey {
    std::optional<std::string> value;
    int64_t deadline_ms = 0, brief_ms = 0, ends_from_ms = 0;
    KeyState State() const;
  };
  struct Foreign {
    Owner* owner;
    uint32_t key;
    uint64_t from;
  };
  struct Expect {
    enum Kind : uint8_t { kOk, kQueued, kNumber, kAnyNumber, kExec, kOwn, kForeign };
    Kind kind = kOk;
    int64_t number = 0;  // kNumber; kExec: how many replies
    uint64_t hash = kAbsent;
    std::vector<Foreign> foreign{};
    uint64_t confirms = 0;  // operation
  };

  // ---- Choosing
  void Operation(const std::vector<std::unique_ptr<Owner>>& owners);
  void Choose(const std::vector<std::unique_ptr<Owner>>& owners);
  void Write();
  void Execute();
  void Emptied();
  void ReadOther(const std::vector<std::unique_ptr<Owner>>& owners);

  // ---- Commands: what is sent, what it does, what comes back
  void Set(uint32_t key);
  void Append(uint32_t key);
  void Increment(uint32_t key);
  void Delete(const std::vector<uint32_t>& keys);
  void DeleteRange();
  void SetBrief(uint32_t key);
  void SetMany(const std::vector<uint32_t>& keys);
  void Flush();
  void Swap();
  void ReadOwn(uint32_t key);
  void Command(const std::vector<std::string>& arguments, Expect expect);

  SentKey& Touch(uint32_t key);
  uint32_t Text() { return slot_ * kKeysPerDatabase + Below(kTexts); }
  uint32_t Counter() { return slot_ * kKeysPerDatabase + kTexts + Below(kCounters); }
  uint32_t Brief() { return slot_ * kKeysPerDatabase + kTexts + kCounters + Below(kBriefs); }
  std::vector<uint32_t> SomeTexts(size_t most);
  std::string Value();
  size_t Size();
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  bool Check(const Expect& expect, const Reply& reply);

  const uint32_t number_;
  const std::vector<uint32_t> databases_;
  std::mt19937_64 random_;
  uint64_t serial_ = 0;  // of values, never used twice
  std::vector<SentKey> sent_;
  OwnerHistory history_;
  uint32_t slot_ = 0;                // of databases_, that the next operation is about
  std::optional<uint32_t> at_slot_;  // that the connection has selected
  bool inside_multi_ = false;
  std::string requests_;
  std::vector<uint32_t> touched_;  // by the operation that is being made
  int64_t queued_ = 0;             // commands since MULTI
  std::deque<Expect> expects_;
  std::vector<Seen> seen_;
  std::string error_;
};

}  // namespace fluxkv::crash
