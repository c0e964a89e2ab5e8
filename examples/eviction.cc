// A cache of bounded size: who was used longest ago goes first. Without a policy the program is
// told instead, and makes room itself.
//
// Prints:
// > the cache has stayed below its limit
// > key:0 is still there: it was used all the time
// > without a policy: the memory limit is reached, and nothing may be evicted
// > after making room: good
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "fluxkv/fluxkv.h"

namespace {

constexpr uint64_t kLimit = 8 << 20;
const std::string kValue(1000, 'x');

bool FillsAndEvicts() {
  fluxkv::Result<fluxkv::Database> cache = fluxkv::Database::Open(
      fluxkv::Options().WithMemoryLimit(kLimit).WithPolicy(fluxkv::Policy::kLru));
  if (!cache.ok()) return false;
  for (int i = 0; i < 20'000; ++i) {
    if (!cache->Insert("key:" + std::to_string(i), kValue).ok()) return false;
    if (!cache->Get("key:0").ok()) return false;
  }
  const fluxkv::Result<fluxkv::MemoryFigures> memory = cache->memory();
  if (!memory.ok() || memory->evicted_keys == 0) return false;
  if (memory->used_bytes > kLimit + (1 << 16)) return false;
  std::printf("the cache has stayed below its limit\n");
  const fluxkv::Result<bool> there = cache->Contains("key:0");
  if (!there.ok() || !*there) return false;
  std::printf("key:0 is still there: it was used all the time\n");
  return true;
}

bool MakesRoomItself() {
  fluxkv::Result<fluxkv::Database> store =
      fluxkv::Database::Open(fluxkv::Options().WithMemoryLimit(kLimit));
  if (!store.ok()) return false;
  fluxkv::Status status;
  for (int i = 0; status.ok(); ++i) status = store->Insert("key:" + std::to_string(i), kValue);
  if (status.kind() != fluxkv::ErrorKind::kOutOfMemory) return false;
  std::printf("without a policy: %s\n", status.message().c_str());

  // The first hundred that are large go: which ones is the program's choice.
  const fluxkv::Result<std::vector<fluxkv::KeyMetadata>> keys = store->Metadata();
  if (!keys.ok()) return false;
  int left = 100;
  for (const fluxkv::KeyMetadata& key : *keys) {
    if (key.memory_bytes >= 1000 && left-- > 0 && !store->Remove(key.key).ok()) return false;
  }
  if (!store->Insert("one more", kValue).ok()) return false;
  std::printf("after making room: good\n");
  return true;
}

}  // namespace

int main() {
  return FillsAndEvicts() && MakesRoomItself() ? 0 : 1;
}
