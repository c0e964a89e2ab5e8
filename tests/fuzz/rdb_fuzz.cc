// Fuzz target of the RDB reader, in libFuzzer's form. The input is read whole, byte by byte, and in
// chunks whose sizes come from a hash of the input; all three must give the same entries and the
// same error. Chunks lie in heap blocks of exactly their size, so that a sanitizer sees any read
// behind the end. The same bytes are then read as the payload of a DUMP.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "types/crc64.h"
#include "types/dump.h"
#include "types/rdb_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using fluxkv::Result;
using fluxkv::types::RdbEntry;
using fluxkv::types::RdbReader;

constexpr size_t kStringBytesMax = 4096;
// What is allocated at most for a string of the largest size, with how strings grow.
constexpr size_t kCapacityBytesMax = 4 * kStringBytesMax;

void Fail(const char* what) {
  std::fprintf(stderr, "rdb_fuzz: %s\n", what);
  std::abort();
}

template <class NextSize>
class PieceSource : public fluxkv::types::ByteSource {
 public:
  PieceSource(std::string_view bytes, NextSize next_size) : left_(bytes), next_size_(next_size) {}
  Result<std::string_view> NextChunk() override {
    std::string_view piece = left_.substr(0, next_size_());
    left_.remove_prefix(piece.size());
    block_.reset(new char[piece.size()]);
    std::memcpy(block_.get(), piece.data(), piece.size());
    return std::string_view(block_.get(), piece.size());
  }

 private:
  std::string_view left_;
  NextSize next_size_;
  std::unique_ptr<char[]> block_;
};

// Everything that comes out of the input, in one text.
template <class NextSize>
std::string Read(std::string_view input, NextSize next_size) {
  PieceSource<NextSize> source(input, next_size);
  RdbReader reader(source, {kStringBytesMax, kStringBytesMax});
  RdbEntry entry;
  std::string out;
  uint64_t entries = 0;
  for (;;) {
    Result<bool> more = reader.Next(entry);
    if (!more.ok()) return out + more.message();
    if (!more.value()) return out + "end";
    if (++entries > input.size()) Fail("more entries than bytes");
    if (reader.offset() > input.size()) Fail("read more than there is");
    if (entry.key.size() > kStringBytesMax || entry.value.size() > kStringBytesMax) {
      Fail("a string beyond its bound");
    }
    if (entry.key.capacity() + entry.value.capacity() > kCapacityBytesMax) {
      Fail("holds more than a string may have");
    }
    if (entry.kind == RdbEntry::Kind::kFunctionLibrary) {
      out += "functions\n";
      continue;
    }
    out += std::to_string(entry.db) + entry.type_name + entry.key + '=' + entry.value + '\n';
    if (entry.expiry_ms) out += std::to_string(*entry.expiry_ms) + '\n';
  }
}

// The payload of a DUMP with a good footer, so that damage reaches what is behind the checksum.
void ReadAsDump(std::string_view input) {
  std::string payload(input);
  payload += std::string_view("\x0b\0", 2);
  uint64_t checksum = fluxkv::types::Crc64(payload);
  for (int i = 0; i < 8; ++i) payload.push_back(static_cast<char>(checksum >> (8 * i) & 0xff));
  auto result = fluxkv::types::ParseDump(payload, kStringBytesMax);
  if (result.bytes.size() > kStringBytesMax) Fail("a DUMP beyond its bound");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  uint64_t state = fluxkv::HashBytes(input);
  auto random_size = [&state] {
    state = fluxkv::MixHash(state, 1);
    return size_t{1} + (state % 3 == 0 ? state / 3 % 200 : state / 3 % 8);
  };
  std::string whole = Read(input, [&] { return input.size() + 1; });
  if (whole != Read(input, random_size)) Fail("split at random: different result");
  if (size <= 2048 && whole != Read(input, [] { return size_t{1}; })) {
    Fail("split at every byte: different result");
  }
  ReadAsDump(input);
  return 0;
}
