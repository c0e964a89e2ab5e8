#include "tools/survey.h"

#include <fmt/format.h>

#include "base/parse.h"

namespace fluxkv::tools {
namespace {

constexpr size_t kNamedOfATypeMax = 5;
constexpr size_t kNameBytesMax = 60;
// The types of Redis are five; modules have names of their own, in a hostile file any number.
constexpr size_t kTypesMax = 40;

}  // namespace

std::string ShownKey(const types::RdbEntry& entry, size_t bytes_max) {
  std::string text = fmt::format("database {} ", entry.db);
  if (entry.key.size() <= bytes_max) return text + QuoteBytes(entry.key);
  return text + QuoteBytes(std::string_view(entry.key).substr(0, bytes_max)) + "...";
}

Survey::Fate Survey::Add(const types::RdbEntry& entry, int64_t now_ms) {
  using Kind = types::RdbEntry::Kind;
  if (entry.kind != Kind::kFunctionLibrary) ++keys_;
  if (entry.kind == Kind::kString) {
    if (entry.expiry_ms && *entry.expiry_ms <= now_ms) {
      ++expired_;
      return Fate::kExpired;
    }
    ++strings_;
    ++databases_[entry.db];
    string_bytes_ += entry.key.size() + entry.value.size();
    with_deadline_ += entry.expiry_ms.has_value();
    return Fate::kImport;
  }
  ++other_types_;
  std::string name = entry.kind == Kind::kFunctionLibrary ? "function library" : entry.type_name;
  if (!by_type_.contains(name) && by_type_.size() >= kTypesMax) name = "(more types)";
  OtherType& type = by_type_[name];
  ++type.count;
  if (entry.kind == Kind::kOtherKey && type.first.size() < kNamedOfATypeMax) {
    type.first.push_back(ShownKey(entry, kNameBytesMax));
  }
  return Fate::kOtherType;
}

std::string Survey::LeftOut() const {
  std::string text;
  for (const auto& [name, type] : by_type_) {
    text += fmt::format("  {:16} {:>10}", name, type.count);
    for (size_t i = 0; i < type.first.size(); ++i) text += (i == 0 ? "  " : ", ") + type.first[i];
    text += type.first.empty() || type.count == type.first.size() ? "\n" : ", ...\n";
  }
  return text;
}

}  // namespace fluxkv::tools
