// What the wanted part of an RDB file holds: strings to import, strings past their deadline, and
// what is left out, by type.
//
//   Survey survey;
//   if (survey.Add(entry, now_ms) == Survey::Fate::kImport) Write(entry);
//   std::puts(survey.LeftOut().c_str());
//
// Memory is bounded: names are kept of the first keys of each type, types up to a number.
// Threads: one.
// Errors:  none.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "types/rdb_reader.h"

namespace fluxkv::tools {

class Survey {
 public:
  enum class Fate : uint8_t { kImport, kExpired, kOtherType };

  // Counts the entry. `now_ms` since 1970.
  Fate Add(const types::RdbEntry& entry, int64_t now_ms);

  uint64_t keys() const { return keys_; }  // of all fates
  uint64_t strings() const { return strings_; }
  uint64_t string_bytes() const { return string_bytes_; }  // keys and values
  uint64_t with_deadline() const { return with_deadline_; }
  uint64_t expired() const { return expired_; }
  uint64_t other_types() const { return other_types_; }
  // The file's databases that have strings to import, and how many.
  const std::map<uint32_t, uint64_t>& databases() const { return databases_; }

  // A line for each type that is left out: its number of keys and the first of them;
  // empty without any.
  std::string LeftOut() const;

 private:
  struct OtherType {
    uint64_t count = 0;
    std::vector<std::string> first;
  };

  uint64_t keys_ = 0;
  uint64_t strings_ = 0;
  uint64_t string_bytes_ = 0;
  uint64_t with_deadline_ = 0;
  uint64_t expired_ = 0;
  uint64_t other_types_ = 0;
  std::map<uint32_t, uint64_t> databases_;
  std::map<std::string, OtherType> by_type_;
};

// A key as a line shows it: `database 0 "user:1"`, shortened beyond `bytes_max`.
std::string ShownKey(const types::RdbEntry& entry, size_t bytes_max);

}  // namespace fluxkv::tools
