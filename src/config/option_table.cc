#include "config/option_table.h"

#include <algorithm>
#include <unordered_map>

#include "base/check.h"
#include "base/parse.h"

namespace fluxkv::config {
namespace {

// Names longer than this are nobody's typing error.
constexpr size_t kNameBytesMax = 64;

struct Table {
  std::vector<Option> options;
  std::vector<OptionName> names;
  std::unordered_map<std::string, size_t> by_name;  // lower case -> index in `names`
};

void AddName(Table* table, std::string_view name, NameKind kind, size_t index) {
  if (name.empty()) return;
  auto [it, inserted] = table->by_name.emplace(ToLower(name), table->names.size());
  ASSERT(inserted);  // two rows with one name
  table->names.push_back({std::string(name), kind, index});
}

Table MakeTable() {
  Table table;
  for (auto rows : {ServerOptions(), MemoryOptions(), DurabilityOptions(), DataOptions(),
                    CompatDataOptions(), CompatDiskOptions(), CompatSystemOptions()}) {
    table.options.insert(table.options.end(), rows.begin(), rows.end());
  }
  for (size_t i = 0; i < table.options.size(); ++i) {
    const Option& option = table.options[i];
    AddName(&table, option.dotted_name(), NameKind::kDotted, i);
    AddName(&table, option.redis_name, NameKind::kRedis, i);
    AddName(&table, option.redis_alias, NameKind::kRedis, i);
    AddName(&table, option.short_name, NameKind::kShort, i);
  }
  return table;
}

const Table& TheTable() {
  static const Table table = MakeTable();
  return table;
}

// Levenshtein distance, one row at a time. Both texts are at most kNameBytesMax long.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, replaced});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

const std::vector<Option>& AllOptions() {
  return TheTable().options;
}

const std::vector<OptionName>& AllOptionNames() {
  return TheTable().names;
}

const OptionName* FindOption(std::string_view name) {
  if (name.size() > kNameBytesMax) return nullptr;
  auto it = TheTable().by_name.find(ToLower(name));
  return it == TheTable().by_name.end() ? nullptr : &TheTable().names[it->second];
}

size_t OptionIndex(std::string_view name) {
  const OptionName* found = FindOption(name);
  ASSERT(found != nullptr);
  return found->index;
}

std::string NearestOptionName(std::string_view name) {
  std::string wanted = ToLower(name.substr(0, kNameBytesMax));
  bool dotted = wanted.find('.') != std::string::npos;
  const OptionName* nearest = nullptr;
  size_t nearest_distance = 0;
  for (const OptionName& candidate : AllOptionNames()) {
    if ((candidate.kind == NameKind::kDotted) != dotted) continue;
    size_t distance = EditDistance(wanted, candidate.text);
    if (nearest == nullptr || distance < nearest_distance) {
      nearest = &candidate;
      nearest_distance = distance;
    }
  }
  ASSERT(nearest != nullptr);
  return nearest->text;
}

bool IsOptionSection(std::string_view section) {
  std::string prefix = std::string(section) + ".";
  const auto& names = AllOptionNames();
  return std::any_of(names.begin(), names.end(), [&](const OptionName& name) {
    return name.kind == NameKind::kDotted && name.text.starts_with(prefix);
  });
}

}  // namespace fluxkv::config
