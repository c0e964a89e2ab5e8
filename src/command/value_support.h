// What the families of string, bitmap and key commands share: reading deadlines out of arguments
// with Redis's error texts, bounds of value sizes, and answering a value.
//
//   if (!CheckGrownSize(c, old_size, tail.size())) return;   // has answered the error
//
// Threads: the connection's loop.
// Errors:  a function that returns bool has answered when it returns false.
#pragma once

#include <cstdint>
#include <string_view>

#include "command/context.h"
#include "engine/key.h"
#include "engine/version.h"

namespace fluxkv::command {

enum class TimeUnit : uint8_t { kSeconds, kMilliseconds };

// "ERR invalid expire time in '<command>' command".
void ReplyInvalidExpiry(Context& c);
// A positive time to live (`relative`) or deadline, made an absolute time in milliseconds.
bool ReadDeadline(Context& c, size_t argument, TimeUnit unit, bool relative, int64_t* deadline_ms);

// The most bytes a string may grow to: proto-max-bulk-len, and what the engine can store.
size_t StringBytesMax(const Context& c);
// Whether a value may have `size` + `added` bytes.
bool CheckGrownSize(Context& c, uint64_t size, uint64_t added);
// Whether an argument can be stored as a value at all.
bool CheckStorable(Context& c, std::string_view value);

// The bytes of a string as a bulk; large ones are sent from where they are.
void ReplyString(Context& c, const engine::Version& version);
// Likewise a part of its payload. Requires: `part` lies in version.payload(),
// or the version has no blob.
void ReplyStringPart(Context& c, const engine::Version& version, std::string_view part);

// The live value without noting an access, counted as a hit or a miss (EXISTS, TYPE, TTL).
const engine::Version* LookupUntouched(Context& c, const engine::Key& key);

// Events: "new" for a key that had no value before, "del" for one that has none any more.
void NotifyIfNew(Context& c, const engine::Version* before, const engine::Key& key);
void DeleteAndNotify(Context& c, const engine::Key& key);
// Whether a write must find out if its key is new only to tell so.
bool WantsNewEvents(const Context& c);

// What OBJECT REFCOUNT shows. A value is referred to by its key alone; the integers of which Redis
// has shared objects show its figure for those, by which clients recognise them.
int64_t ShownReferences(const engine::Version& version);

}  // namespace fluxkv::command
