// The one table of options, and looking things up in it.
//
//   const OptionName* found = FindOption("maxmemory-policy");
//   if (found == nullptr) ... NearestOptionName("maxmemroy") ...
//
// Threads: constants, made once. Errors: null for a name that is none.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/option.h"

namespace fluxkv::config {

// How a name may be used.
enum class NameKind {
  kRedis,   // Redis's name or alias: listed by CONFIG GET with a glob
  kDotted,  // ours: matched by globs that have a dot or begin with a section
  kShort,   // ours, short: only when written out
};

struct OptionName {
  std::string text;
  NameKind kind;
  size_t index;  // of the option in AllOptions()
};

// Rows of each area, in the order in which files and --help show them.
std::span<const Option> ServerOptions();
std::span<const Option> MemoryOptions();
std::span<const Option> DurabilityOptions();
std::span<const Option> DataOptions();
std::span<const Option> CompatDataOptions();
std::span<const Option> CompatDiskOptions();
std::span<const Option> CompatSystemOptions();

// All rows: ours first.
const std::vector<Option>& AllOptions();
// All names, in the order of the rows.
const std::vector<OptionName>& AllOptionNames();
// Any name of an option, in any case.
const OptionName* FindOption(std::string_view name);
// Index in AllOptions(). Requires: `name` is a name in the table.
size_t OptionIndex(std::string_view name);
// The known name with the fewest differing characters; dotted ones only if `name` has a dot.
std::string NearestOptionName(std::string_view name);
bool IsOptionSection(std::string_view section);
// The text of --help.
std::string HelpText(std::string_view program);

}  // namespace fluxkv::config
