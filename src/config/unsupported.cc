// What Redis has and this version has not: values that are valid and refused.
#include "config/option_value.h"

namespace fluxkv::config {
namespace {

struct Refusal {
  std::string_view name;  // Redis's, or ours where Redis has none
  std::string_view
      values;  // the values refused, each between spaces; empty: all but the empty text
  std::string_view reason;
};

constexpr std::string_view kMemoryOnly = "this version keeps data in memory only, allowed is ";
constexpr Refusal kRefusals[] = {
    {"durability.mode", " relaxed full ", "none"},
    {"appendonly", " yes ", "no"},
    {"appendfsync", " always ", "everysec or no"},
};
constexpr Refusal kOtherRefusals[] = {
    {"replicaof", "", "this version has no replication, allowed is \"no one\""},
    {"cluster-enabled", " yes ", "this version has no cluster mode, allowed is no"},
    {"aclfile", "", "this version has no access lists, allowed is \"\""},
    {"syslog-enabled", " yes ", "this version does not log to syslog, allowed is no"},
    {"activedefrag", " yes ",
     "Active defragmentation cannot be enabled: it requires an allocator that reports "
     "fragmentation, allowed is no"},
};

constexpr Refusal kAtStart = {
    "save", "", "this version keeps data in memory only, allowed is \"\" (CONFIG SET takes any)"};

bool Refuses(const Refusal& refusal, const Option& option, const std::string& text) {
  if (refusal.name != option.redis_name && refusal.name != option.name) return false;
  if (refusal.values.empty()) return !text.empty();
  return refusal.values.find(" " + text + " ") != std::string_view::npos;
}

}  // namespace

std::optional<std::string> UnsupportedAtStart(const Option& option, const Value& value) {
  if (Refuses(kAtStart, option, value.text)) return std::string(kAtStart.reason);
  return UnsupportedReason(option, value);
}

std::optional<std::string> UnsupportedReason(const Option& option, const Value& value) {
  for (const Refusal& refusal : kRefusals) {
    if (Refuses(refusal, option, value.text)) {
      return std::string(kMemoryOnly) + std::string(refusal.reason);
    }
  }
  for (const Refusal& refusal : kOtherRefusals) {
    if (Refuses(refusal, option, value.text)) return std::string(refusal.reason);
  }
  return std::nullopt;
}

}  // namespace fluxkv::config
