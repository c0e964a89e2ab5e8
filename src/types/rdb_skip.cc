#include "types/rdb_skip.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "base/check.h"
#include "types/rdb_format.h"

namespace fluxkv::types {
namespace {

// How the values of one type are written: some elements, then a counted row of elements.
struct Shape {
  uint8_t type;
  const char* type_name;
  const char* first;
  const char* counted;  // null: no row
};

constexpr Shape kShapes[] = {
    {rdb::kList, "list", "", "s"},
    {rdb::kSet, "set", "", "s"},
    {rdb::kZset, "zset", "", "st"},
    {rdb::kHash, "hash", "", "ss"},
    {rdb::kZset2, "zset", "", "s8"},
    {rdb::kHashZipmap, "hash", "s", nullptr},
    {rdb::kListZiplist, "list", "s", nullptr},
    {rdb::kSetIntset, "set", "s", nullptr},
    {rdb::kZsetZiplist, "zset", "s", nullptr},
    {rdb::kHashZiplist, "hash", "s", nullptr},
    {rdb::kListQuicklist, "list", "", "s"},
    {rdb::kHashListpack, "hash", "s", nullptr},
    {rdb::kZsetListpack, "zset", "s", nullptr},
    {rdb::kListQuicklist2, "list", "", "ls"},
    {rdb::kSetListpack, "set", "s", nullptr},
    // Each field's deadline, the field, its value; the released forms begin with the next deadline.
    {rdb::kHashMetadataEarly, "hash", "", "lss"},
    {rdb::kHashListpackDeadlinesEarly, "hash", "s", nullptr},
    {rdb::kHashMetadata, "hash", "8", "lss"},
    {rdb::kHashListpackDeadlines, "hash", "8s", nullptr},
};
constexpr Shape kValkeyHash = {rdb::kHashDeadlinesValkey, "hash", "", "ss8"};

// Numbers as text: a byte with their length, or one of these, which stand alone.
constexpr uint8_t kTextNotANumber = 253;

constexpr size_t kStreamIdBytes = 16;
constexpr size_t kModuleNameLetters = 9;
constexpr unsigned kModuleVersionBits = 10;

// A module's type is nine letters of six bits each, and the version of its encoding.
std::string ModuleName(uint64_t id) {
  static constexpr char kLetters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string name(kModuleNameLetters, '\0');
  id >>= kModuleVersionBits;
  for (size_t i = kModuleNameLetters; i-- > 0; id >>= 6) name[i] = kLetters[id & 0x3f];
  return name;
}

const Shape* FindShape(uint8_t type, RdbFlavour flavour) {
  if (flavour == RdbFlavour::kValkey && type > rdb::kStreamListpacks3) {
    return type == kValkeyHash.type ? &kValkeyHash : nullptr;
  }
  const Shape* end = std::end(kShapes);
  const Shape* found =
      std::find_if(kShapes, end, [&](const Shape& shape) { return shape.type == type; });
  return found == end ? nullptr : found;
}

bool IsStream(uint8_t type) {
  return type == rdb::kStreamListpacks || type == rdb::kStreamListpacks2 ||
         type == rdb::kStreamListpacks3;
}

}  // namespace

bool RdbSkip::KnowsType(uint8_t type, uint64_t type_offset) {
  if (type == rdb::kString || type == rdb::kModule2 || IsStream(type)) return true;
  if (FindShape(type, flavour_) != nullptr) return true;
  if (type == rdb::kModule1) {
    return in_.Fail(type_offset,
                    "expected a value that can be passed over, found a module's in the form of "
                    "Redis 4.0 before its release");
  }
  return in_.Fail(type_offset,
                  fmt::format("expected the type of a value or an opcode, found {}", type));
}

bool RdbSkip::Value(uint8_t type, std::string* type_name) {
  if (type == rdb::kModule2) return Module(type_name);
  if (IsStream(type)) {
    *type_name = "stream";
    return Stream(type);
  }
  const Shape* shape = FindShape(type, flavour_);
  ASSERT(shape != nullptr);
  *type_name = shape->type_name;
  return Elements(shape->first) && (shape->counted == nullptr || Counted(shape->counted));
}

bool RdbSkip::Elements(const char* letters) {
  for (; *letters != '\0'; ++letters) {
    if (!Element(*letters)) return false;
  }
  return true;
}

bool RdbSkip::Element(char letter) {
  switch (letter) {
    case 's':
      return in_.SkipString("an element");
    case 'l':
      return in_.TakeLength("a length or a number").has_value();
    case '8':
      return in_.SkipBytes(sizeof(uint64_t), "a number of 8 bytes");
    case 'i':
      return in_.SkipBytes(kStreamIdBytes, "the id of a stream's entry");
    default:  // 't'
      break;
  }
  std::optional<uint8_t> length = in_.TakeByte("a score");
  return length && (*length >= kTextNotANumber || in_.SkipBytes(*length, "a score"));
}

bool RdbSkip::Counted(const char* letters) {
  std::optional<uint64_t> count = in_.TakeLength("a number of elements");
  if (!count) return false;
  // Each element takes a byte or more, so a count that lies ends with the file.
  for (uint64_t left = *count; left > 0; --left) {
    if (!Elements(letters)) return false;
  }
  return true;
}

bool RdbSkip::Stream(uint8_t type) {
  // Nodes (id and listpack), length, last id; then first id, greatest deleted id, entries added.
  if (!Counted("ss") || !Elements(type == rdb::kStreamListpacks ? "lll" : "llllllll")) return false;
  std::optional<uint64_t> groups = in_.TakeLength("a number of consumer groups");
  if (!groups) return false;
  for (uint64_t left = *groups; left > 0; --left) {
    if (!StreamGroup(type)) return false;
  }
  return true;
}

bool RdbSkip::StreamGroup(uint8_t type) {
  // Name, last id, entries read; pending entries with their delivery time and count.
  if (!Elements(type == rdb::kStreamListpacks ? "sll" : "slll") || !Counted("i8l")) return false;
  std::optional<uint64_t> consumers = in_.TakeLength("a number of consumers");
  if (!consumers) return false;
  for (uint64_t left = *consumers; left > 0; --left) {
    // Name, when it was seen, when it was active; its pending entries.
    if (!Elements(type == rdb::kStreamListpacks3 ? "s88" : "s8") || !Counted("i")) return false;
  }
  return true;
}

bool RdbSkip::Module(std::string* name) {
  std::optional<uint64_t> id = in_.TakeLength("a module's type");
  if (!id) return false;
  *name = ModuleName(*id);
  return ModuleParts();
}

bool RdbSkip::ModuleParts() {
  for (;;) {
    uint64_t start = in_.offset();
    std::optional<uint64_t> opcode = in_.TakeLength("a part of a module's value");
    if (!opcode) return false;
    bool good = false;
    switch (*opcode) {
      case rdb::kModuleEnd:
        return true;
      case rdb::kModuleSigned:
      case rdb::kModuleUnsigned:
        good = Element('l');
        break;
      case rdb::kModuleFloat:
        good = in_.SkipBytes(sizeof(float), "a number of 4 bytes");
        break;
      case rdb::kModuleDouble:
        good = Element('8');
        break;
      case rdb::kModuleString:
        good = Element('s');
        break;
      default:
        in_.Fail(start, fmt::format("expected a part of a module's value, found {}", *opcode));
    }
    if (!good) return false;
  }
}

bool RdbSkip::ModuleAux() {
  // The module's type, then when it is to be loaded: an unsigned number like the parts behind it.
  return in_.TakeLength("a module's type").has_value() && ModuleParts();
}

bool RdbSkip::EarlyFunction() {
  // Name, engine, whether a description follows, code.
  if (!Elements("ss")) return false;
  std::optional<uint64_t> described = in_.TakeLength("whether a function has a description");
  return described && Elements(*described != 0 ? "ss" : "s");
}

}  // namespace fluxkv::types
