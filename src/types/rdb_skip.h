// Passes over values of an RDB file that are not wanted, whatever their type and encoding.
//
//   RdbSkip skip(in, RdbFlavour::kRedis);
//   std::string type_name;
//   if (!skip.KnowsType(type, type_offset)) return Status::Error(in.error());
//   ...                                                         // the key stands between the two
//   if (!skip.Value(type, &type_name)) return Status::Error(in.error());   // "zset"
//
// Nothing of a value is kept: memory does not grow with it.
// Threads: one.
// Errors:  false, and the error is in the input. What has lengths of its own inside a string
//          (ziplists, listpacks, intsets) is passed over as that string and not looked at.
// Source:  Redis's and Valkey's rdb.c as documentation of the format.
#pragma once

#include <cstdint>
#include <string>

#include "types/rdb_input.h"

namespace fluxkv::types {

// The two lines of the format. They number alike up to RDB version 11.
enum class RdbFlavour : uint8_t { kRedis, kValkey };

class RdbSkip {
 public:
  RdbSkip(RdbInput& in, RdbFlavour flavour) : in_(in), flavour_(flavour) {}

  // Whether the byte that stood at `type_offset` is a string's type or that of a value that can be
  // passed over; anything else is an error.
  bool KnowsType(uint8_t type, uint64_t type_offset);
  // Sets `type_name` to what TYPE answers, for a module's value to the module's name. Requires:
  // KnowsType, and no string.
  bool Value(uint8_t type, std::string* type_name);
  // What stands behind kModuleAux.
  bool ModuleAux();
  // What stands behind kFunctionEarly.
  bool EarlyFunction();

 private:
  // Elements by one letter each: 's' a string, 'l' a length, 't' a number as text, '8' eight bytes
  // and 'i' the sixteen of a stream's id.
  bool Elements(const char* letters);
  bool Element(char letter);
  // A count, then so many times the elements.
  bool Counted(const char* letters);
  bool Module(std::string* name);
  bool ModuleParts();
  bool Stream(uint8_t type);
  bool StreamGroup(uint8_t type);

  RdbInput& in_;
  const RdbFlavour flavour_;
};

}  // namespace fluxkv::types
