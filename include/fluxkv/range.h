// Which keys a scan returns, in byte order or against it, and what it returns of them.
//
//   Range::Prefix("user:").Limit(10)
//   Range::Between("a", "c").Reverse()     // both ends included
//   Range().After(last).Limit(100)         // the next page
//
// Threads: values, no sharing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fluxkv {

// By default all keys.
class Range {
 public:
  Range() = default;
  static Range Prefix(std::string_view prefix) {
    Range range;
    range.low_ = prefix;
    range.high_ = EndOfPrefix(prefix);
    return range;
  }
  static Range Between(std::string_view first, std::string_view last) {
    return Range().From(first).Through(last);
  }

  // Each sets one end; the last one of an end counts.
  Range& From(std::string_view key) { return low_ = key, *this; }
  Range& After(std::string_view key) { return low_ = Next(key), *this; }
  Range& Before(std::string_view key) { return high_ = key, *this; }
  Range& Through(std::string_view key) { return high_ = Next(key), *this; }
  Range& Reverse() { return reverse_ = !reverse_, *this; }
  Range& Limit(uint64_t keys) { return limit_ = keys, *this; }

  const std::string& low() const { return low_; }                   // included
  const std::optional<std::string>& high() const { return high_; }  // not included; none: no end
  bool reverse() const { return reverse_; }
  uint64_t limit() const { return limit_; }

 private:
  // The first key behind this one.
  static std::string Next(std::string_view key) { return std::string(key) + '\0'; }
  // The first key behind all that begin so; none if there is none.
  static std::optional<std::string> EndOfPrefix(std::string_view prefix) {
    std::string end(prefix);
    for (; !end.empty(); end.pop_back()) {
      const auto last = static_cast<unsigned char>(end.back());
      if (last == 0xff) continue;
      end.back() = static_cast<char>(last + 1);
      return end;
    }
    return std::nullopt;
  }

  std::string low_;
  std::optional<std::string> high_;
  bool reverse_ = false;
  uint64_t limit_ = UINT64_MAX;
};

struct Entry {
  std::string key;
  std::string value;
};

struct KeyMetadata {
  std::string key;
  uint64_t value_bytes = 0;
  uint64_t memory_bytes = 0;             // of key and value as the allocator rounds them
  std::optional<int64_t> deadline_ms{};  // since 1970
  uint64_t stamp = 0;                    // of the commit that wrote the value
  uint64_t idle_seconds = 0;             // since its last use
  uint32_t frequency = 0;                // on Redis's logarithmic scale, under kLfu
};

}  // namespace fluxkv
