// Values of eight bytes that name the write that made them, and a transaction's recorded steps.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "engine/transaction.h"
#include "tests/isolation/history_checker.h"

namespace fluxkv::isolation {

inline engine::VersionPtr TokenValue(uint64_t token) {
  engine::VersionPtr value = engine::Version::New(1, 0, engine::kNoExpiry, sizeof(token));
  std::memcpy(value->mutable_payload(), &token, sizeof(token));
  return value;
}

inline uint64_t TokenOf(const engine::Version& version) {
  uint64_t token = 0;
  if (version.size() == sizeof(token)) std::memcpy(&token, version.payload().data(), sizeof(token));
  return token;
}

// The keys of a workload: k0, k1, ... The last `elsewhere` of them live in database 1.
class KeyNames {
 public:
  KeyNames(uint32_t keys, uint32_t elsewhere) : first_elsewhere_(keys - elsewhere) {
    for (uint32_t i = 0; i < keys; ++i) names_.push_back("k" + std::to_string(i));
  }
  uint32_t size() const { return static_cast<uint32_t>(names_.size()); }
  uint32_t db(uint32_t key) const { return key < first_elsewhere_ ? 0 : 1; }
  engine::Key key(uint32_t key) const { return engine::Key(names_[key]); }
  engine::LatchKey latch(uint32_t key) const { return {db(key), this->key(key).hash}; }
  uint32_t first_elsewhere() const { return first_elsewhere_; }
  const std::string& name(uint32_t key) const { return names_[key]; }

 private:
  const uint32_t first_elsewhere_;
  std::vector<std::string> names_;
};

// Runs steps on an engine transaction and remembers what it saw.
class Recorder {
 public:
  Recorder(engine::Transaction& txn, const KeyNames& keys) : txn_(txn), keys_(keys) {}

  std::vector<Operation> operations;

  void Clear() { operations.clear(); }
  bool Read(uint32_t key) { return Saw(key, txn_.Get(keys_.db(key), keys_.key(key))); }
  void Overwrite(uint32_t key, uint64_t token) { Write(Op::kOverwrite, key, token); }
  void Append(uint32_t key, uint64_t token) {
    Read(key);
    Write(Op::kAppend, key, token);
  }
  // What was there is recorded first. Not of a key that it has written: whether that changes the
  // store depends on what was there.
  void Delete(uint32_t key, uint64_t token) {
    for (const Operation& op : operations) {
      const bool read =
          op.kind == Op::kRead || op.kind == Op::kReadAbsent || op.kind == Op::kReadPresent;
      if (op.key == key && !read) return;
    }
    Read(key);
    if (txn_.Delete(keys_.db(key), keys_.key(key))) operations.push_back({Op::kDelete, key, token});
  }
  // All keys of a database, in order, from one walk.
  void Walk(uint32_t db, bool tokens) {
    std::vector<uint8_t> seen(keys_.size());
    txn_.Walk(db, {}, false, "k", [&](std::string_view name, const engine::Version& version) {
      for (uint32_t key = 0; key < keys_.size(); ++key) {
        if (keys_.db(key) != db || keys_.name(key) != name) continue;
        seen[key] = 1;
        if (tokens) {
          Saw(key, &version);
        } else {
          operations.push_back({Op::kReadPresent, key});
        }
      }
      return true;
    });
    for (uint32_t key = 0; key < keys_.size(); ++key) {
      if (keys_.db(key) == db && seen[key] == 0) operations.push_back({Op::kReadAbsent, key});
    }
  }
  void ClearDatabase(uint32_t db, uint64_t first_token) {
    for (uint32_t key = 0; key < keys_.size(); ++key) {
      if (keys_.db(key) == db && Read(key)) operations.push_back({Op::kDelete, key, first_token++});
    }
    txn_.ClearDatabase(db);
  }
  // By a range delete. `reader` finds out what was there, in a mode that leaves no mark of a range,
  // so that the range delete's own mark is needed. Requires: kExclusive.
  void DeleteRange(engine::Transaction& reader, uint32_t db, const engine::KeyInterval& interval,
                   uint64_t first_token) {
    for (uint32_t key = 0; key < keys_.size(); ++key) {
      if (keys_.db(key) != db || !interval.Holds(keys_.name(key))) continue;
      reader.BeginRead();
      const bool there = Saw(key, reader.Get(db, keys_.key(key)));
      reader.Rollback();
      if (there) operations.push_back({Op::kDelete, key, first_token++});
    }
    txn_.DeleteRange(
        db, interval, [](std::string_view) {}, /*few=*/0);
  }

 private:
  bool Saw(uint32_t key, const engine::Version* version) {
    if (version == nullptr) {
      operations.push_back({Op::kReadAbsent, key});
    } else {
      operations.push_back({Op::kRead, key, TokenOf(*version)});
    }
    return version != nullptr;
  }
  void Write(Op::Kind kind, uint32_t key, uint64_t token) {
    txn_.Put(keys_.db(key), keys_.key(key), TokenValue(token));
    operations.push_back({kind, key, token});
  }

  engine::Transaction& txn_;
  const KeyNames& keys_;
};

}  // namespace fluxkv::isolation
