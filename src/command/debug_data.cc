// DEBUG's subcommands that look at keys or make them.
#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/hash.h"
#include "command/arguments.h"
#include "command/debug_handlers.h"
#include "command/errors.h"
#include "command/info.h"
#include "command/refusals.h"
#include "command/services.h"
#include "command/value_support.h"
#include "engine/store.h"
#include "types/dump.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

// 160 bits that depend on every byte of what is added, and not on the order in which keys are.
class Digest {
 public:
  void Add(uint32_t db, std::string_view key, const engine::Version& version) {
    types::StringView value(version);
    std::string bytes = std::to_string(db) + '\0' + std::to_string(key.size()) + '\0';
    bytes += key;
    AddBytes(bytes, version, value.bytes());
  }
  void AddValue(const engine::Version& version) {
    types::StringView value(version);
    AddBytes("", version, value.bytes());
  }
  std::string Hex() const {
    std::string text;
    for (uint32_t word : words_) {
      char digits[9];
      std::snprintf(digits, sizeof digits, "%08x", word);
      text += digits;
    }
    return text;
  }

 private:
  void AddBytes(std::string bytes, const engine::Version& version, std::string_view value) {
    bytes += static_cast<char>(version.type());
    bytes += version.has_expiry() ? 'e' : ' ';
    bytes += value;
    for (size_t i = 0; i < words_.size(); ++i)
      words_[i] ^= static_cast<uint32_t>(XXH3_64bits_withSeed(bytes.data(), bytes.size(), i) >> 32);
  }
  std::array<uint32_t, 5> words_{};
};

// Of DUMP's payload: the type before the value; version and checksum behind it.
constexpr size_t kDumpFrameBytes = 1 + 2 + 8;

}  // namespace

void DebugObject(Context& c) {
  engine::Key key = c.Key(2);
  const engine::Version* version = c.txn.Peek(c.db(), key);
  if (version == nullptr) return c.reply.Error(errors::kNoSuchKey);
  int64_t idle_s = static_cast<int64_t>(c.txn.IdleSeconds(c.db(), key).value_or(0));
  int64_t clock = (c.txn.now_ms() / 1000 - idle_s) & ((int64_t{1} << kLruClockBits) - 1);
  char text[256];
  std::snprintf(text, sizeof text,
                "Value at:%p refcount:%lld encoding:%s serializedlength:%zu lru:%lld "
                "lru_seconds_idle:%lld",
                c.txn.AddressOf(c.db(), key), static_cast<long long>(ShownReferences(*version)),
                std::string(types::EncodingName(*version)).c_str(),
                types::DumpString(*version).size() - kDumpFrameBytes, static_cast<long long>(clock),
                static_cast<long long>(idle_s));
  c.reply.SimpleString(text);
}

void DebugDigestValue(Context& c) {
  c.reply.ArrayHeader(c.args.size() - 2);
  for (size_t i = 2; i < c.args.size(); ++i) {
    Digest digest;
    const engine::Version* version = c.txn.Peek(c.db(), c.Key(i));
    if (version != nullptr) digest.AddValue(*version);
    c.reply.SimpleString(digest.Hex());
  }
}

// All databases at one snapshot. It has a handle of its own, for the loop's transaction is that of
// DEBUG itself.
void DebugDigest(Context& c) {
  std::unique_ptr<engine::Handle> handle = c.services.database.Attach();
  engine::Handle::Scope in_epoch(*handle);
  engine::Transaction txn(*handle);
  txn.set_client(c.session.info->id);
  if (!txn.BeginSnapshot(engine::Isolation::kSnapshot, /*read_only=*/true))
    return c.reply.Error("ERR too many live snapshots");
  Digest digest;
  for (uint32_t db = 0; db < c.services.database.databases(); ++db) {
    txn.Walk(db, "", /*after=*/false, "",
             [&](std::string_view key, const engine::Version& version) {
               digest.Add(db, key, version);
               return true;
             });
  }
  c.txn.DependOn(txn.depends_on());
  txn.Rollback();
  c.reply.SimpleString(digest.Hex());
}

void DebugHtStats(Context& c) {
  int64_t db = 0;
  if (!ReadInteger(c, 2, &db)) return;
  if (db < 0 || db >= static_cast<int64_t>(c.services.database.databases()))
    return c.reply.Error("ERR Out of range database");
  engine::DatabaseStats stats = c.services.database.database_stats(static_cast<uint32_t>(db));
  engine::EngineStats engine = c.services.database.stats();
  std::string text =
      "[Dictionary HT]\nHash index:\n number of elements: " + std::to_string(stats.keys) +
      "\n bytes of all databases: " + std::to_string(engine.index_bytes) +
      "\nOrdered list:\n bytes of all databases: " + std::to_string(engine.list_bytes) +
      "\n[Expires HT]\n number of elements: " + std::to_string(stats.keys_with_expiry) + "\n";
  c.reply.Verbatim(text, "txt");
}

// DEBUG POPULATE count [prefix] [size]. Each key is a commit of its own.
void DebugPopulate(Context& c) {
  int64_t count = 0, size = 0;
  if (!ReadInteger(c, 2, &count)) return;
  if (count < 0) return c.reply.Error(errors::kPositive);
  if (c.args.size() == 5) {
    if (!ReadInteger(c, 4, &size)) return;
    int64_t limit =
        c.services.config.settings().proto_max_bulk_bytes.load(std::memory_order_relaxed);
    if (size < 0 || size > limit) return c.reply.Error(errors::kPositive);
  }
  if (c.in_exec) return c.reply.Error("ERR DEBUG POPULATE cannot run inside a transaction");
  const engine::CommitLog& log = c.services.database.store().log;
  if (log.admission() >= engine::CommitLog::Admission::kRefused)
    return c.reply.Error(RefusedByLog(log.failure()));
  std::string prefix(c.args.size() > 3 ? c.args[3] : std::string_view("key"));
  std::unique_ptr<engine::Handle> handle = c.services.database.Attach();
  engine::Handle::Scope in_epoch(*handle);
  for (int64_t i = 0; i < count; ++i) {
    std::string name = prefix + ":" + std::to_string(i);
    engine::Key key(name);
    engine::Transaction txn(*handle);
    engine::LatchKey latch{c.db(), key.hash};
    txn.BeginLatched({&latch, 1});
    if (txn.Peek(c.db(), key) == nullptr) {
      std::string value = "value:" + std::to_string(i);
      if (size > 0) value.resize(static_cast<size_t>(size), '\0');
      txn.Put(c.db(), key, types::NewString(value, engine::kNoExpiry));
    }
    ASSERT(txn.Commit());
    c.txn.DependOn(txn.depends_on());
    handle->Breathe(1);
  }
  c.reply.Ok();
}

}  // namespace fluxkv::command
