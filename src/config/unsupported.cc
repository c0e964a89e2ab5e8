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

constexpr Refusal kRefusals[] = {
    {"replicaof", "", "this version has no replication, allowed is \"no one\""},
    {"cluster-enabled", " yes ", "this version has no cluster mode, allowed is no"},
    {"aclfile", "", "this version has no access lists, allowed is \"\""},
    {"syslog-enabled", " yes ", "this version does not log to syslog, allowed is no"},
    {"activedefrag", " yes ",
     "Active defragmentation cannot be enabled: it requires an allocator that reports "
     "fragmentation, allowed is no"},
};

bool Refuses(const Refusal& refusal, const Option& option, const std::string& text) {
  if (refusal.name != option.redis_name && refusal.name != option.name) return false;
  if (refusal.values.empty()) return !text.empty();
  return refusal.values.find(" " + text + " ") != std::string_view::npos;
}

}  // namespace

std::optional<std::string> UnsupportedReason(const Option& option, const Value& value) {
  for (const Refusal& refusal : kRefusals) {
    if (Refuses(refusal, option, value.text)) return std::string(refusal.reason);
  }
  return std::nullopt;
}

}  // namespace fluxkv::config
