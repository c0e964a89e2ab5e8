// The wire workload's transactions: what is sent, and what the replies say happened. Every value is
// a list of tokens of eight hexadecimal digits; a reader learns the order of a key's versions from
// the lists.
//
// Threads: a WireClient is one thread's; Tokens and the rest are shared and safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/isolation/history_checker.h"

namespace fluxkv::isolation {

// Keys h0.. always exist once written; a0.. come and go.
inline constexpr uint32_t kHotKeys = 6;
inline constexpr uint32_t kComingKeys = 3;
inline constexpr uint32_t kWireKeys = kHotKeys + kComingKeys;
std::string WireKey(uint32_t key);

// A reply of RESP2 as a tree. Complete: ParseReply moved `at` behind it.
struct Reply {
  char type = 0;  // '+', '-', ':', '$' or '*'; nil has is_nil
  bool is_nil = false;
  std::string text;
  std::vector<Reply> items;
};
bool ParseReply(std::string_view bytes, size_t* at, Reply* reply);
std::string EncodeCommand(const std::vector<std::string>& arguments);

// A list that was read: of which key, by which entry.
struct SeenList {
  uint32_t key;
  std::vector<uint32_t> tokens;
};

struct WireEntry {
  TransactionRecord record;
  std::vector<Operation> operations;
};

// Makes one client's transactions, one at a time, and records them.
class WireClient {
 public:
  WireClient(uint64_t seed, uint32_t number, Level level, std::atomic<uint32_t>& tokens)
      : random_(seed), number_(number), level_(level), tokens_(tokens) {}

  // The bytes of the next request; its replies are given to Take as they come.
  std::string NextRequest(int64_t now);
  // All replies of the request have come when it returns true.
  bool Take(const Reply& reply, int64_t now);
  size_t size() const { return entries_.size(); }

  // What happened, for the checker; `lists` in the order of reading.
  const std::vector<WireEntry>& entries() const { return entries_; }
  const std::vector<SeenList>& lists() const { return lists_; }
  const std::string& error() const { return error_; }
  size_t conflicts() const { return conflicts_; }

 private:
  using Body = void (WireClient::*)();
  struct Expect {
    enum Kind {
      kIgnore,
      kRead,      // a value of the key
      kMany,      // values of keys_
      kKeys,      // KEYS
      kScan,      // SCAN
      kSize,      // DBSIZE
      kCreated,   // SETNX
      kAppended,  // a reply that is a length
    };
    Kind kind;
    uint32_t key = 0;
    uint64_t token = 0;
    std::vector<uint32_t> keys = {};
  };

  uint32_t Hot() { return static_cast<uint32_t>(random_() % kHotKeys); }
  uint32_t OtherHot(uint32_t key) {
    return (key + 1 + static_cast<uint32_t>(random_() % (kHotKeys - 1))) % kHotKeys;
  }
  uint32_t Coming() { return kHotKeys + static_cast<uint32_t>(random_() % kComingKeys); }
  uint64_t Token();

  void Start(const char* label, bool exec);
  void Command(std::vector<std::string> arguments, Expect expect,
               std::vector<Operation> writes = {});
  void Appends(uint32_t key);
  void Overwrites(uint32_t key);

  void Choose();
  void Single();
  void Batch();
  void Copies();
  void Renames();
  void Comes();
  void Undeclared();
  void Watched();
  void Begins();
  void Ends();
  // All replies of the request have come.
  void Finish(const Reply& last, int64_t now);
  void DropOpen();

  void See(const Expect& expect, const Reply& reply);
  void SawValue(uint32_t key, const Reply& reply);
  void SawKeys(const std::vector<Reply>& names);
  void Fail(const std::string& what) {
    if (error_.empty()) error_ = what;
  }
  void Save(int64_t now);

  std::mt19937_64 random_;
  const uint32_t number_;
  const Level level_;  // of BEGIN
  std::atomic<uint32_t>& tokens_;

  const char* label_ = "";
  bool exec_ = false;
  bool watching_ = false;  // the first half of a WATCH transaction is under way
  uint32_t watched_key_ = 0;
  std::vector<Operation> watched_;  // what its GET saw
  // A transaction of BEGIN: its first half, BEGIN and reads, was sent.
  enum class Open : uint8_t { kNone, kWriter, kReader };
  Open open_ = Open::kNone;
  bool ends_ = false;  // its second half is under way
  int64_t open_since_ = 0;
  std::vector<Operation> open_operations_;
  size_t open_lists_ = 0;  // lists_ before it
  size_t conflicts_ = 0;
  std::string request_;
  std::vector<Expect> expects_;                 // by command
  std::vector<std::vector<Operation>> writes_;  // by command
  size_t taken_ = 0;
  int64_t begin_ = 0;
  size_t keys_seen_ = 0;
  std::vector<Operation> operations_;
  std::vector<uint32_t> long_keys_;  // lists that are long enough to be begun anew

  std::vector<WireEntry> entries_;
  std::vector<SeenList> lists_;
  std::string error_;
};

// Gives the links that the lists tell to the history; an empty string, or what two lists
// contradict each other in.
std::string LinkLists(const std::vector<WireClient*>& clients, History* history);

}  // namespace fluxkv::isolation
